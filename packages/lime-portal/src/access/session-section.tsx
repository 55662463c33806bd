"use client";

import { useState } from "react";

import { call, segment } from "@/api/client";
import type { Pages } from "@/api/hooks";
import type { Session } from "@/api/types";
import { shortUserAgent } from "@/lib/user-agent";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { PagedList } from "@/ui/list";
import { Badge, Notice, Problem } from "@/ui/notice";
import { Section } from "@/ui/page";
import { Time } from "@/ui/time";

/** Where the owner is signed in. */
export function SessionSection({ sessions }: { sessions: Pages<Session> }) {
  const [said, setSaid] = useState<string | null>(null);
  const others = sessions.more || (sessions.items ?? []).some((one) => !one.current);
  return (
    <Section
      title="Sessions"
      lead="Where you are signed in. End what you do not know, then change your password."
      action={
        others ? (
          <Confirm
            button="End all others"
            title="End all other sessions?"
            confirm="End them"
            work={async () => {
              const { ended } = await call<{ ended: number }>("/foundation/sessions/end-others", { method: "POST" });
              await sessions.reload();
              setSaid(ended === 1 ? "One other session has ended." : `${ended} other sessions have ended.`);
            }}
          >
            <p>Everywhere but here you will have to sign in again.</p>
          </Confirm>
        ) : null
      }
    >
      {said === null ? null : <Notice tone="good">{said}</Notice>}
      <PagedList pages={sessions} what="Sessions" empty={null} keyOf={(one) => one.session_id}>
        {(one) => (
          <One
            session={one}
            onEnded={async () => {
              await sessions.reload();
              setSaid(`The session of ${shortUserAgent(one.user_agent)} has ended.`);
            }}
          />
        )}
      </PagedList>
    </Section>
  );
}

function One({ session, onEnded }: { session: Session; onEnded: () => Promise<void> }) {
  const end = useAction(async () => {
    await call(`/foundation/sessions/${segment(session.session_id)}`, { method: "DELETE" });
    await onEnded();
  });
  const browser = shortUserAgent(session.user_agent);
  return (
    <div className="grid gap-3">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <div className="min-w-0">
          <p className="flex flex-wrap items-center gap-2 font-medium break-words">
            {browser} {session.current ? <Badge tone="good">This session</Badge> : null}
          </p>
          <p className="text-sm text-muted">
            From {session.address}, since <Time at={session.created_at} />, last seen <Time at={session.last_seen_at} />
          </p>
        </div>
        {session.current ? null : (
          <Button kind="danger" label={`End the session of ${browser}`} busy={end.busy} onClick={() => void end.run()}>
            End
          </Button>
        )}
      </div>
      <Problem error={end.error} />
    </div>
  );
}
