"use client";

import { useRef, useState } from "react";

import { call } from "@/api/client";
import type { Loaded } from "@/api/hooks";
import type { AgentKeys, Jwk } from "@/api/types";
import { addedKeys, kidOf, kindOf, LONGEST_PASTE, MOST_KEYS } from "@/lib/jwk";
import { fieldError, otherError } from "@/lib/field-error";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Copyable } from "@/ui/copy";
import { Area } from "@/ui/field";
import { Badge, Problem } from "@/ui/notice";
import { Section } from "@/ui/page";
import { AGENT, apiOf } from "./kinds";
import { oauthIssuer } from "./snippets";

/** The keys by which an agent can prove itself to the token endpoint, instead of with its token. */
export function PublicKeys({ id, keys }: { id: string; keys: Loaded<AgentKeys> }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string>();
  const [said, setSaid] = useState("");
  const form = useRef<HTMLFormElement>(null);
  const known = keys.data?.keys;
  async function put(changed: readonly Jwk[], what: string) {
    const kept = await call<AgentKeys>(`${apiOf(AGENT, id)}/keys`, { method: "PUT", body: { keys: changed } });
    await keys.mutate(kept, { revalidate: false });
    setSaid(what);
  }
  const add = useAction(async (changed: readonly Jwk[]) => {
    await put(changed, "Added.");
    setText("");
  });
  function tryToAdd(before: readonly Jwk[]) {
    setSaid("");
    const result = addedKeys(before, text);
    if ("problem" in result) {
      add.clear();
      setProblem(result.problem);
    } else {
      void add.run(result.keys);
    }
  }
  async function remove(before: readonly Jwk[], gone: Jwk) {
    setSaid("");
    await put(before.filter((key) => key !== gone), "Removed.");
    // The button that had the focus is gone.
    form.current?.querySelector("textarea")?.focus();
  }
  return (
    <Section
      title="Public keys"
      lead="For programs that sign in to MCP servers with a key of their own (private_key_jwt) instead of the agent's token. The private half never leaves them."
    >
      <Problem error={keys.error} onRetry={() => void keys.mutate()} />
      {known === undefined ? null : (
        <>
          {known.length === 0 ? (
            <p className="text-muted">None yet. The agent proves itself with its token.</p>
          ) : (
            <ul aria-label="Public keys" className="divide-y divide-line">
              {known.map((key) => (
                <li
                  key={kidOf(key)}
                  className="flex flex-wrap items-center justify-between gap-3 py-2 first:pt-0 last:pb-0"
                >
                  <div className="flex min-w-0 flex-1 basis-60 flex-wrap items-center gap-3">
                    <code className="min-w-0 font-mono text-sm break-all">{kidOf(key)}</code>
                    <Badge>{kindOf(key)}</Badge>
                  </div>
                  <Confirm
                    button="Remove"
                    label={`Remove the key ${kidOf(key)}`}
                    title="Remove this key?"
                    confirm="Remove it"
                    work={() => remove(known, key)}
                  >
                    <p className="break-words">
                      Whoever signs with {kidOf(key)} is refused from now on. Tokens that were given out end within five
                      minutes.
                    </p>
                  </Confirm>
                </li>
              ))}
            </ul>
          )}
          <form
            ref={form}
            noValidate
            className="grid gap-4"
            onSubmit={(event) => {
              event.preventDefault();
              tryToAdd(known);
            }}
          >
            <Area
              label="Public key"
              hint={`A JWK, or a JWK Set: Ed25519, EC P-256 or P-384, RSA of at least 2048 bits. At most ${MOST_KEYS}.`}
              rows={4}
              value={text}
              error={problem ?? fieldError(add.error, "keys")}
              maxLength={LONGEST_PASTE}
              onChange={(value) => {
                setText(value);
                setProblem(undefined);
                add.clear();
              }}
            />
            <Problem error={otherError(add.error, ["keys"])} />
            <div className="flex flex-wrap items-center gap-3">
              <Button type="submit" kind="plain" busy={add.busy}>
                Add the key
              </Button>
              <span role="status" className="text-muted">
                {said}
              </span>
            </div>
          </form>
        </>
      )}
      <p className="text-muted">
        The program is an OAuth client: its client_id is the agent&apos;s id, and what it signs is meant for this issuer,
        where it also finds everything else.
      </p>
      <Copyable text={oauthIssuer()} what="the issuer" />
    </Section>
  );
}
