"use client";

import Link from "next/link";

import { segment } from "@/api/client";
import { useApi, usePages } from "@/api/hooks";
import type { AuditEntry, HeldThing, OwnerInFull } from "@/api/types";
import { AuditLog } from "@/audit/log";
import { useQuery } from "@/lib/use-query";
import { Judge } from "@/operator/judge";
import { OperatorsOnly } from "@/operator/operators-only";
import { useMe } from "@/session/session";
import { Loading, LoadingPage } from "@/ui/loading";
import { Badge, Notice, Problem } from "@/ui/notice";
import { Facts, Page, Section } from "@/ui/page";
import { Time } from "@/ui/time";

export default function Owner() {
  const id = useQuery("id");
  return <OperatorsOnly>{id === undefined ? <LoadingPage what="the owner" /> : <Known id={id ?? ""} />}</OperatorsOnly>;
}

function Known({ id }: { id: string }) {
  const { me } = useMe();
  const { data: owner, error, mutate } = useApi<OwnerInFull>(`/foundation/operator/owners/${segment(id)}`);
  const log = usePages<AuditEntry>(
    owner === undefined ? null : `/foundation/operator/audit?owner_id=${encodeURIComponent(owner.user_id)}`,
  );
  // What was done stands in the log, too.
  const again = () => Promise.all([mutate(), log.reload()]);
  if (owner === undefined) {
    return (
      <Page title="Owner" lead={<Link href="/operator/">Back to the console</Link>}>
        {error === undefined ? <Loading what="the owner" /> : <Problem error={error} onRetry={() => void mutate()} />}
      </Page>
    );
  }
  const own = owner.user_id === me.user_id;
  const { user_id, email, suspended } = owner;
  return (
    <Page
      title={email}
      lead={<Link href="/operator/">Back to the console</Link>}
      action={
        own ? undefined : (
          <Judge judged={{ kind: "owners", id: user_id, name: email, suspended }} onDone={again} />
        )
      }
    >
      {own ? <Notice>This is you. Another operator has to suspend or restore what is your own.</Notice> : null}
      <Section
        title="Account"
        action={suspended ? <Badge tone="bad">suspended</Badge> : <Badge tone="good">in good standing</Badge>}
      >
        <Facts
          facts={[
            ["Id", <code key="id" className="font-mono text-sm break-all">{user_id}</code>],
            ["Address proven", owner.email_verified ? "yes" : "no"],
            ["Identity", `level ${owner.kyc_level}`],
            ["Operator", owner.operator ? "yes" : "no"],
            ["Since", <Time key="since" at={owner.created_at} />],
          ]}
        />
      </Section>
      <Things title="Agents" kind="agents" things={owner.agents} own={own} onDone={again} />
      <Things title="Sites" kind="sites" things={owner.sites} own={own} onDone={again} />
      <Section title="Audit log">
        <AuditLog
          pages={log}
          reader={{ owner: user_id, viewer: me.user_id }}
        />
      </Section>
    </Page>
  );
}

function Things({
  title, kind, things, own, onDone,
}: {
  title: string;
  kind: "agents" | "sites";
  things: readonly HeldThing[];
  own: boolean;
  onDone: () => Promise<unknown>;
}) {
  return (
    <Section title={title}>
      {things.length === 0 ? (
        <p className="text-muted">None.</p>
      ) : (
        <ul className="divide-y divide-line">
          {things.map(({ id, display_name, active, suspended }) => (
            <li key={id} className="flex flex-wrap items-center justify-between gap-3 py-3 first:pt-0 last:pb-0">
              <div className="grid min-w-0 gap-1">
                <p className="flex flex-wrap items-center gap-2">
                  <span className="min-w-0 font-medium break-words">{display_name}</span>
                  {suspended ? <Badge tone="bad">suspended</Badge> : null}
                  {active ? null : <Badge>switched off by its owner</Badge>}
                </p>
                <code className="font-mono text-sm break-all text-muted">{id}</code>
              </div>
              {own ? null : <Judge judged={{ kind, id, name: display_name, suspended }} onDone={onDone} />}
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}
