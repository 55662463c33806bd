"use client";

import { useState } from "react";

import { call } from "@/api/client";
import type { Loaded } from "@/api/hooks";
import type { HeldToken, ListOf } from "@/api/types";
import { newKeys } from "@/lib/keys";
import { OVERLAPS, overlapOf } from "@/lib/overlap";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { ShownOnce } from "@/ui/copy";
import { Dialog, OnceDialog } from "@/ui/dialog";
import { Choice } from "@/ui/field";
import { Badge, Problem } from "@/ui/notice";
import { Section } from "@/ui/page";
import { Time } from "@/ui/time";
import { apiOf, type Kind } from "./kinds";

/** The tokens that work now, and a new one in their place. */
export function Tokens({ kind, id, tokens }: { kind: Kind; id: string; tokens: Loaded<ListOf<HeldToken>> }) {
  const [fresh, setFresh] = useState<string | undefined>(undefined);
  const items = tokens.data?.items ?? [];
  return (
    <Section
      title="Tokens"
      lead={`What the ${kind.noun} shows to be let in. Its token is never shown again after it was made.`}
      action={<Rotate kind={kind} id={id} onMade={(token) => {
        setFresh(token);
        void tokens.mutate();
      }} />}
    >
      <Problem error={tokens.error} onRetry={() => void tokens.mutate()} />
      <ul aria-label="Tokens that work now" className="divide-y divide-line">
        {items.map((token) => (
          <li key={token.token_id} className="grid gap-1 py-3 first:pt-0 last:pb-0">
            <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
              {token.expires_at === null ? (
                <Badge tone="good">Newest</Badge>
              ) : (
                <>
                  <Badge tone="warn">Being replaced</Badge>
                  <span>
                    works until <Time at={token.expires_at} />
                  </span>
                </>
              )}
            </div>
            <p className="text-sm text-muted">
              Made <Time at={token.created_at} />, last used <Time at={token.last_used_at} />
            </p>
          </li>
        ))}
      </ul>
      <OnceDialog
        open={fresh !== undefined}
        title={`The new ${kind.noun} token`}
        onKept={() => {
          setFresh(undefined);
        }}
      >
        <ShownOnce secret={fresh ?? ""} what={`${kind.noun} token`} />
        <p className="text-muted">Put it into {kind.variable} where the {kind.noun} runs, and start that again.</p>
      </OnceDialog>
    </Section>
  );
}

function Rotate({ kind, id, onMade }: { kind: Kind; id: string; onMade: (token: string) => void }) {
  const [open, setOpen] = useState(false);
  const [seconds, setSeconds] = useState(String(OVERLAPS[0].seconds));
  const overlap = overlapOf(seconds);
  // A token whose answer was lost is the same one when it is asked for again; the dialog opened anew makes another.
  const [keyOf, setKeyOf] = useState(newKeys);
  const rotate = useAction(async () => {
    const body = { overlap_seconds: overlap.seconds };
    const request = { method: "POST", body, idempotencyKey: keyOf(body) } as const;
    const made = await call<{ agent_token?: string; site_token?: string }>(`${apiOf(kind, id)}/tokens`, request);
    setOpen(false);
    onMade(made.agent_token ?? made.site_token ?? "");
  });
  function close() {
    setOpen(false);
  }
  return (
    <>
      <Button
        kind="plain"
        onClick={() => {
          rotate.clear();
          setKeyOf(newKeys);
          setSeconds(String(OVERLAPS[0].seconds));
          setOpen(true);
        }}
      >
        Rotate the token
      </Button>
      <Dialog open={open} title="A new token" onClose={close}>
        <form
          className="grid gap-4"
          onSubmit={(event) => {
            event.preventDefault();
            void rotate.run();
          }}
        >
          <p className="text-muted">
            You get a new token. The overlap is how long the one in use goes on working beside it.
          </p>
          <Choice
            label="Overlap"
            value={seconds}
            onChange={setSeconds}
            options={OVERLAPS.map((one) => ({ value: String(one.seconds), label: one.label }))}
          />
          <p role="status">{overlap.meaning}</p>
          <Problem error={rotate.error} />
          <div className="flex flex-wrap justify-end gap-3">
            <Button kind="plain" onClick={close}>
              Keep it as it is
            </Button>
            <Button type="submit" busy={rotate.busy}>
              Make a new token
            </Button>
          </div>
        </form>
      </Dialog>
    </>
  );
}
