import type { Client } from "@/api/types";
import { Badge } from "@/ui/notice";

/** Who stands behind the name of a program. */
export function ClientStanding({ client: { host } }: { client: Pick<Client, "host"> }) {
  return host === null ? (
    <Badge tone="warn">name proven by nobody</Badge>
  ) : (
    <span className="inline-grid max-w-full">
      <Badge>
        <span className="wrap-anywhere whitespace-normal">described by {host}</span>
      </Badge>
    </span>
  );
}
