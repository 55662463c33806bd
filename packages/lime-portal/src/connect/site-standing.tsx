import type { BindingSite } from "@/api/types";
import { Badge } from "@/ui/notice";

/** A site's domain, and whether it was proven to be the site's. */
export function SiteStanding({ site }: { site: BindingSite }) {
  if (site.domain === null) {
    return <Badge tone="warn">no domain</Badge>;
  }
  return (
    <Badge tone={site.domain_verified ? "good" : "warn"}>
      {site.domain}, {site.domain_verified ? "verified" : "not verified"}
    </Badge>
  );
}
