"use client";

import { useEffect, useRef, useState } from "react";

import { call, segment } from "@/api/client";
import { usePages } from "@/api/hooks";
import type { Grant } from "@/api/types";
import { ClientStanding } from "@/connect/client-standing";
import { Confirm } from "@/ui/confirm";
import { PagedList } from "@/ui/list";
import { Notice } from "@/ui/notice";
import { Empty, Facts, Page } from "@/ui/page";
import { Time } from "@/ui/time";

export default function Grants() {
  const pages = usePages<Grant>("/modules/oauth/grants");
  const [ended, setEnded] = useState<string>();
  const said = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The button that was pressed is gone.
    if (ended !== undefined) {
      said.current?.focus();
    }
  }, [ended]);
  async function takeBack(grant: Grant) {
    await call(`/modules/oauth/grants/${segment(grant.grant_id)}`, { method: "DELETE" });
    await pages.reload();
    setEnded(`${grant.client.name} no longer acts as ${agentOf(grant)}.`);
  }
  return (
    <Page
      title="MCP access"
      lead="Programs that may open MCP servers as one of your agents. You can take each back at any time."
    >
      <div ref={said} tabIndex={-1} className={ended === undefined ? "hidden" : "rounded-lg"}>
        {ended === undefined ? null : <Notice tone="good">{ended}</Notice>}
      </div>
      <PagedList
        pages={pages}
        what="programs with access"
        empty={
          <Empty title="No program acts as one of your agents">
            Add an MCP server that trusts this server to a program such as an editor or a chat assistant. It opens a
            page here that asks you which agent it acts as; once you have allowed it, you find it on this list. Agents
            with a token of their own need none of this.
          </Empty>
        }
        keyOf={(grant) => grant.grant_id}
      >
        {(grant) => <Row grant={grant} onEnd={() => takeBack(grant)} />}
      </PagedList>
    </Page>
  );
}

function Row({ grant, onEnd }: { grant: Grant; onEnd: () => Promise<void> }) {
  const { client, resource, redirect_host, scopes, created_at, last_used_at } = grant;
  const agent = agentOf(grant);
  return (
    <div className="grid gap-3">
      <div className="flex flex-wrap items-start justify-between gap-4">
        <div className="grid min-w-0 flex-1 basis-64 gap-2">
          <h2 className="font-medium break-words">
            <bdi>{client.name}</bdi> as <bdi>{agent}</bdi>
          </h2>
          <p>
            <ClientStanding client={client} />
          </p>
        </div>
        <Confirm
          button="Take back"
          label={`Take back the access of ${client.name} as ${agent}`}
          title="Take this access back?"
          confirm="Take it back"
          work={onEnd}
        >
          <p className="break-words">
            {client.name} gets no more tokens to act as {agent}. The one it may still hold ends within five minutes.
          </p>
          <p className="text-muted">To allow it again, start in that program.</p>
        </Confirm>
      </div>
      <Facts
        facts={[
          ["Server", <span key="server" className="wrap-anywhere">{resource ?? "any that it chooses"}</span>],
          ["Scopes", <span key="scopes" className="wrap-anywhere">{scopes.join(" ")}</span>],
          ["Answers go to", <span key="back" className="wrap-anywhere">{redirect_host}</span>],
          ["Allowed", <Time key="allowed" at={created_at} />],
          ["Last used", <Time key="used" at={last_used_at} />],
        ]}
      />
    </div>
  );
}

function agentOf({ agent }: Grant): string {
  return agent.display_name ?? "an agent that was deleted";
}
