"use client";

import { usePages } from "@/api/hooks";
import type { Site } from "@/api/types";
import { Create } from "@/things/create";
import { SITE } from "@/things/kinds";
import { Row } from "@/things/row";
import { SITE_INSTALL } from "@/things/snippets";
import { Standing } from "@/things/standing";
import { Copyable } from "@/ui/copy";
import { PagedList } from "@/ui/list";
import { Empty, Page } from "@/ui/page";

export default function Sites() {
  const pages = usePages<Site>(SITE.api);
  return (
    <Page title="Sites" lead="Backends of yours that let agents in." action={<NewSite />}>
      <PagedList pages={pages} what="sites" empty={<NoSites />} keyOf={(site) => site.site_id}>
        {(site) => (
          <Row
            kind={SITE}
            id={site.site_id}
            name={site.display_name}
            standing={<Standing active={site.active} />}
            lastUsed={site.last_used_at}
          >
            {site.domain === null ? null : (
              <p className="break-all text-muted">
                {site.domain} ({site.domain_verified ? "proven" : "not proven"})
              </p>
            )}
          </Row>
        )}
      </PagedList>
    </Page>
  );
}

function NewSite() {
  return (
    <Create
      kind={SITE}
      button="New site"
      nameHint="What agents are shown before they log in to it."
      more={{
        field: "domain",
        label: "Domain",
        hint: "A host name such as shop.example. You can prove later that it is yours.",
        long: false,
      }}
      next={<Install />}
    />
  );
}

function NoSites() {
  return (
    <Empty title="No site yet">
      <div className="grid gap-3">
        <p>
          A site is a backend that lets agents in: a shop, an API, a forum. It asks LIME for a login, and gets a passport
          that it checks by itself. Make one, then install its client:
        </p>
        <Install />
      </div>
    </Empty>
  );
}

function Install() {
  return <Copyable text={SITE_INSTALL} what="the command that installs the client" />;
}
