"use client";

import { useState, type ReactNode } from "react";

import type { Pages } from "@/api/hooks";
import type { LoginRecord } from "@/api/types";
import { Button } from "@/ui/button";
import { PagedList } from "@/ui/list";
import { Badge, type Tone } from "@/ui/notice";
import { Empty, Section } from "@/ui/page";
import { Time } from "@/ui/time";
import type { Kind } from "./kinds";

/** Milliseconds after which a history that is looked at is read again: a login takes about a second. */
export const READ_EVERY = 4_000;

const STATUS: Readonly<Record<LoginRecord["status"], readonly [Tone, string]>> = {
  PENDING: ["info", "Waiting"],
  APPROVED: ["info", "Approved"],
  DELIVERED: ["good", "Logged in"],
  DENIED: ["bad", "Refused"],
  EXPIRED: ["warn", "Expired"],
};

const MEANING: Readonly<Record<LoginRecord["status"], string>> = {
  PENDING: "no agent has answered yet",
  APPROVED: "the agent said yes",
  DELIVERED: "the site has its passport",
  DENIED: "the agent said no",
  EXPIRED: "nobody finished it in time",
};

/** Logins, newest first; new ones appear by themselves. */
export function LoginHistory({ kind, pages }: { kind: Kind; pages: Pages<LoginRecord> }) {
  const [reading, setReading] = useState(false);
  async function refresh() {
    setReading(true);
    await pages.reload().catch(() => undefined);
    setReading(false);
  }
  return (
    <Section
      title="Login history"
      lead="Newest first. New logins appear here by themselves."
      action={
        <Button kind="plain" busy={reading} onClick={() => void refresh()}>
          Refresh
        </Button>
      }
    >
      <PagedList pages={pages} what="logins" keyOf={(login) => login.login_request_id} empty={<NoLogins kind={kind} />}>
        {(login) => (
          <div className="grid gap-1">
            <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
              <Badge tone={STATUS[login.status][0]}>{STATUS[login.status][1]}</Badge>
              <span className="min-w-0 font-medium break-words">{kind.noun === "agent" ? <Where login={login} /> : who(login)}</span>
            </div>
            <p className="text-sm text-muted">
              <Time at={login.decided_at ?? login.created_at} />, {MEANING[login.status]}
            </p>
          </div>
        )}
      </PagedList>
    </Section>
  );
}

function Where({ login: { site } }: { login: LoginRecord }): ReactNode {
  if (site.domain === null) {
    return site.display_name;
  }
  return (
    <>
      {site.display_name}{" "}
      <span className="font-normal text-muted">
        {site.domain} ({site.domain_verified ? "proven" : "not proven"})
      </span>
    </>
  );
}

function who({ agent, status }: LoginRecord): string {
  if (agent !== null) {
    return agent.display_name ?? "An agent that was deleted";
  }
  return status === "PENDING" ? "Nobody yet" : "Nobody";
}

function NoLogins({ kind }: { kind: Kind }) {
  return (
    <Empty title="No login yet">
      {kind.noun === "agent"
        ? "When this agent logs in to a site, or refuses to, it stands here. The code below shows how it does that."
        : "When your site asks for a login, it stands here with what became of it. The code below shows how it asks."}
    </Empty>
  );
}
