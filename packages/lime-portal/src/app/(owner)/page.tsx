"use client";

import Link from "next/link";
import type { ReactNode } from "react";

import { useApi } from "@/api/hooks";
import type { Agent, AuditEntry, KycStatus, ListOf, Site } from "@/api/types";
import { Entry } from "@/audit/entry";
import { checklist, count, type Step } from "@/lib/checklist";
import { useMe } from "@/session/session";
import { ButtonLink } from "@/ui/button";
import { Loading } from "@/ui/loading";
import { Badge, Problem } from "@/ui/notice";
import { Page, Section } from "@/ui/page";

/** How many of the newest are named. */
const NEWEST = 3;

export default function Overview() {
  const { me } = useMe();
  return (
    <Page title="Overview" lead={`Welcome, ${me.email}.`}>
      {me.suspended ? (
        <p className="text-muted">While your account is suspended, this portal shows and changes nothing.</p>
      ) : (
        <Content />
      )}
    </Page>
  );
}

function Content() {
  const { me } = useMe();
  const agents = useApi<ListOf<Agent>>("/core/agents?limit=100");
  const sites = useApi<ListOf<Site>>("/foundation/sites?limit=100");
  const kyc = useApi<KycStatus>("/foundation/kyc");
  const log = useApi<ListOf<AuditEntry>>("/foundation/audit?limit=5");
  const all = [agents, sites, kyc, log];
  const failed = all.find(({ data, error }) => data === undefined && error !== undefined);
  if (failed !== undefined) {
    return (
      <Problem
        error={failed.error}
        onRetry={() => {
          for (const one of all) {
            void one.mutate();
          }
        }}
      />
    );
  }
  // All at once: nothing on the page moves when one of them is slower.
  if (agents.data === undefined || sites.data === undefined || kyc.data === undefined || log.data === undefined) {
    return <Loading what="the overview" />;
  }
  const steps = checklist({
    agents: agents.data.items.length,
    sites: sites.data.items.length,
    factors: me.second_factor,
    kyc: kyc.data,
  });
  return (
    <>
      {steps.every(({ state }) => state === "done") ? null : <Next steps={steps} />}
      <div className="grid items-start gap-6 lg:grid-cols-2">
        <Newest
          title="Agents"
          list={agents.data}
          all={<Link href="/agents/" prefetch={false}>All agents</Link>}
          none="Programs of yours with an identity. None yet."
          linkOf={({ agent_id }) => `/agents/agent/?id=${agent_id}`}
          standing={({ active, suspended }) =>
            suspended ? <Badge tone="bad">suspended</Badge> : active ? null : <Badge>switched off</Badge>
          }
        />
        <Newest
          title="Sites"
          list={sites.data}
          all={<Link href="/sites/" prefetch={false}>All sites</Link>}
          none="Backends of yours that let agents in. None yet."
          linkOf={({ site_id }) => `/sites/site/?id=${site_id}`}
          standing={({ active }) => (active ? null : <Badge>switched off</Badge>)}
        />
      </div>
      <Section title="Recently" action={<Link href="/audit/" prefetch={false}>The whole audit log</Link>}>
        <ul className="divide-y divide-line">
          {log.data.items.map((entry) => (
            <li key={entry.entry_id} className="py-3 first:pt-0 last:pb-0">
              <Entry entry={entry} reader={{ owner: me.user_id, viewer: me.user_id }} />
            </li>
          ))}
        </ul>
      </Section>
    </>
  );
}

function Next({ steps }: { steps: readonly Step[] }) {
  const done = steps.filter(({ state }) => state === "done").length;
  return (
    <Section title="What to do next" lead={`${done} of ${steps.length} done. None of them is a must.`}>
      <ol className="divide-y divide-line">
        {steps.map(({ id, title, why, href, action, state }) => (
          <li key={id} className="flex flex-wrap items-center justify-between gap-3 py-3 first:pt-0 last:pb-0">
            <div className="min-w-0 basis-72 grow">
              <h3 className="flex flex-wrap items-center gap-2 font-medium">
                {title}
                {state === "done" ? <Badge tone="good">done</Badge> : null}
                {state === "waiting" ? <Badge tone="warn">under review</Badge> : null}
              </h3>
              {state === "done" ? null : <p className="text-muted">{why}</p>}
            </div>
            {state === "open" ? (
              <ButtonLink kind="plain" href={href}>
                {action}
              </ButtonLink>
            ) : null}
          </li>
        ))}
      </ol>
    </Section>
  );
}

function Newest<T extends Agent | Site>({
  title, list, all, none, linkOf, standing,
}: {
  title: string;
  list: ListOf<T>;
  all: ReactNode;
  none: string;
  linkOf: (thing: T) => string;
  standing: (thing: T) => ReactNode;
}) {
  return (
    <Section title={`${title}: ${count(list)}`} action={list.items.length === 0 ? undefined : all}>
      {list.items.length === 0 ? (
        <p className="text-muted">{none}</p>
      ) : (
        <ul className="grid gap-2">
          {list.items.slice(0, NEWEST).map((thing) => (
            <li key={linkOf(thing)} className="flex flex-wrap items-center gap-2">
              <Link href={linkOf(thing)} prefetch={false} className="min-w-0 py-1 break-words">
                {thing.display_name}
              </Link>
              {standing(thing)}
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}
