"use client";

import { useEffect, useRef, useState } from "react";

import { call, segment } from "@/api/client";
import { usePages } from "@/api/hooks";
import type { OwnersBinding } from "@/api/types";
import { SiteStanding } from "@/connect/site-standing";
import { Confirm } from "@/ui/confirm";
import { PagedList } from "@/ui/list";
import { Badge, Notice } from "@/ui/notice";
import { Empty, Page } from "@/ui/page";
import { Time } from "@/ui/time";

export default function Bindings() {
  const pages = usePages<OwnersBinding>("/modules/bindings");
  const [ended, setEnded] = useState<string>();
  const said = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The button that was pressed is gone.
    if (ended !== undefined) {
      said.current?.focus();
    }
  }, [ended]);
  async function end({ binding_id, agent, site }: OwnersBinding) {
    await call(`/modules/bindings/${segment(binding_id)}`, { method: "DELETE" });
    await pages.reload();
    setEnded(`The binding of ${agent.display_name} to ${site.display_name} has ended.`);
  }
  return (
    <Page title="Bindings" lead="Accounts at sites that your agents are linked to. You can end each at any time.">
      <div ref={said} tabIndex={-1} className={ended === undefined ? "hidden" : "rounded-lg"}>
        {ended === undefined ? null : <Notice tone="good">{ended}</Notice>}
      </div>
      <PagedList
        pages={pages}
        what="bindings"
        empty={
          <Empty title="No agent is bound to a site yet">
            A binding begins at a site: there you choose to link an agent to your account, the site sends you here, and
            you pick the agent. The site then knows which agent acts for which of its customers.
          </Empty>
        }
        keyOf={(binding) => binding.binding_id}
      >
        {(binding) => <Row binding={binding} onEnd={() => end(binding)} />}
      </PagedList>
    </Page>
  );
}

function Row({ binding, onEnd }: { binding: OwnersBinding; onEnd: () => Promise<void> }) {
  const { agent, site, status, bound_at, ended_at, ended_by } = binding;
  const active = status === "ACTIVE";
  return (
    <div className="flex flex-wrap items-start justify-between gap-4">
      <div className="grid min-w-0 gap-2">
        <h2 className="font-medium break-words">
          {agent.display_name} at {site.display_name}
        </h2>
        <p className="flex flex-wrap gap-2">
          {active ? <Badge tone="good">active</Badge> : <Badge>ended</Badge>}
          <SiteStanding site={site} />
        </p>
        <p className="text-sm text-muted">
          Bound <Time at={bound_at} />
          {ended_at === null ? null : (
            <>
              , ended by {ended_by === "site" ? "the site" : "you"} <Time at={ended_at} />
            </>
          )}
        </p>
      </div>
      {active ? (
        <Confirm
          button="End"
          label={`End the binding of ${agent.display_name} to ${site.display_name}`}
          title="End this binding?"
          confirm="End the binding"
          work={onEnd}
        >
          <p>
            {site.display_name} gets no more proof that {agent.display_name} acts for your account there. What the site
            has learned already stays with it.
          </p>
          <p className="text-muted">To bind the agent again, start at the site.</p>
        </Confirm>
      ) : null}
    </div>
  );
}
