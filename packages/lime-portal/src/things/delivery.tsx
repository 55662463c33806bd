"use client";

import type { ReactNode } from "react";
import { useState } from "react";

import { call, segment } from "@/api/client";
import type { DeliveryState, EventOnItsWay } from "@/api/types";
import { age } from "@/lib/age";
import { useNow } from "@/lib/use-now";
import type { Watching } from "@/lib/watch";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Badge, Problem, type Tone } from "@/ui/notice";
import { Section } from "@/ui/page";

/** What is on its way to a site, as it happens. */
export function DeliveryMonitor({
  path, watched, first, awake,
}: {
  /** The site's delivery in the API. */
  path: string;
  watched: Watching<DeliveryState>;
  /** How it stood when the page was opened. */
  first: DeliveryState;
  awake: boolean;
}) {
  const now = useNow(1_000);
  const [said, setSaid] = useState("");
  const { streams, undelivered, delivered } = watched.data ?? first;
  const test = useAction(async () => {
    await call(`${path}/test`, { method: "POST" });
    setSaid(
      streams.length === 0
        ? "Nobody listens, so nobody has heard the test event."
        : `A test event is on its way to ${count(streams.length, "stream")}.`,
    );
  });
  const redeliver = useAction(async (event: EventOnItsWay) => {
    await call(`${path}/${segment(event.event_id)}/redeliver`, { method: "POST" });
    setSaid("It is sent again.");
  });
  function events(list: readonly EventOnItsWay[], render: (event: EventOnItsWay) => ReactNode) {
    return (
      <ul className="divide-y divide-line">
        {list.map((event) => (
          <li key={event.event_id} className="flex flex-wrap items-center justify-between gap-3 py-2">
            <div className="min-w-0 wrap-anywhere">{render(event)}</div>
            <Button
              kind="plain"
              label={`Send again ${event.event_id}`}
              busy={redeliver.busy}
              onClick={() => void redeliver.run(event)}
            >
              Send again
            </Button>
          </li>
        ))}
      </ul>
    );
  }
  return (
    <Section
      title="Delivery monitor"
      lead="What is on its way to your site, as it happens."
      action={<ConnectionBadge watched={watched} awake={awake} />}
    >
      {watched.connection === "refused" ? <Problem error={watched.error} /> : null}
      <div className="grid gap-5">
        <Part title="Open streams" number={streams.length}>
          {streams.length === 0 ? (
            <p className="text-muted">None. Your site hears of logins when it connects, or asks.</p>
          ) : (
            <ul>
              {streams.map((stream, index) => (
                <li key={`${stream.consumer ?? ""} ${stream.since} ${index}`} className="py-1 wrap-anywhere">
                  {stream.consumer ?? "A stream that sees every event"}
                  <span className="text-muted">, open for {age(stream.since, now)}</span>
                </li>
              ))}
            </ul>
          )}
        </Part>
        <Part title="Not delivered yet" number={undelivered.length}>
          {undelivered.length === 0 ? (
            <p className="text-muted">Nothing waits.</p>
          ) : (
            events(undelivered, (event) => (
              <>
                <Kind event={event} /> waits for {age(event.created_at, now)}
                {event.leased_to === null ? null : (
                  <span className="text-muted">, last given to {event.leased_to}</span>
                )}
              </>
            ))
          )}
        </Part>
        <Part title="Delivered" number={delivered.length}>
          {delivered.length === 0 ? (
            <p className="text-muted">Nothing in the last minutes. What can no longer be used is not shown.</p>
          ) : (
            events(delivered, (event) => (
              <>
                <Kind event={event} /> delivered {age(event.acknowledged_at ?? event.created_at, now)} ago
              </>
            ))
          )}
        </Part>
      </div>
      <Problem error={redeliver.error ?? test.error} />
      <div className="flex flex-wrap items-center gap-3">
        <Button kind="plain" busy={test.busy} onClick={() => void test.run()}>
          Send a test event
        </Button>
        <span role="status" className="text-muted">
          {said}
        </span>
      </div>
    </Section>
  );
}

const CONNECTION: Readonly<Record<Watching<unknown>["connection"], readonly [Tone, string]>> = {
  connecting: ["info", "Connecting"],
  live: ["good", "Live"],
  waiting: ["warn", "Connection lost, trying again"],
  refused: ["bad", "Stopped"],
};

function ConnectionBadge({ watched, awake }: { watched: Watching<DeliveryState>; awake: boolean }) {
  const [tone, text] = awake ? CONNECTION[watched.connection] : (["info", "Paused"] as const);
  // A stream ends every minute and comes back at once: that is not worth a word.
  const back = awake && watched.connection === "connecting" && watched.data !== undefined;
  return (
    <span role="status">
      <Badge tone={back ? "good" : tone}>{back ? "Live" : text}</Badge>
    </span>
  );
}

function Part({ title, number, children }: { title: string; number: number; children: ReactNode }) {
  return (
    <div className="grid gap-2">
      <h3 className="font-semibold">
        {title} <span className="font-normal text-muted">({number})</span>
      </h3>
      {children}
    </div>
  );
}

const KINDS: Readonly<Record<EventOnItsWay["type"], readonly [Tone, string]>> = {
  approved: ["good", "Login"],
  denied: ["bad", "Refusal"],
  expired: ["warn", "Expiry"],
};

function Kind({ event }: { event: EventOnItsWay }) {
  const [tone, text] = KINDS[event.type];
  return (
    <>
      <Badge tone={tone}>{text}</Badge> <code className="font-mono text-sm break-all">{event.event_id}</code>{" "}
    </>
  );
}

function count(number: number, noun: string): string {
  return number === 1 ? `one ${noun}` : `${number} ${noun}s`;
}
