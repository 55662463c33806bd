"use client";

import { useRef, useState } from "react";

import { call } from "@/api/client";
import type { Loaded } from "@/api/hooks";
import type { Site } from "@/api/types";
import { added, LONGEST_URI, MOST_URIS, type Uris } from "@/lib/redirect-uris";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Problem } from "@/ui/notice";
import { Section } from "@/ui/page";
import { apiOf, SITE } from "./kinds";

/** Where browsers may be sent back to when somebody binds an agent to the site. */
export function RedirectUris({ site, mutate }: { site: Site; mutate: Loaded<Site>["mutate"] }) {
  const [uri, setUri] = useState("");
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [said, setSaid] = useState("");
  const field = useRef<HTMLDivElement>(null);
  const save = useAction(async (uris: Uris, what: string) => {
    const changed = await call<Site>(`${apiOf(SITE, site.site_id)}/redirect-uris`, {
      method: "PUT",
      body: { redirect_uris: uris },
    });
    await mutate(changed, { revalidate: false });
    setSaid(what);
    return true;
  });
  async function add() {
    setSaid("");
    const result = added(site.redirect_uris, uri);
    if ("problem" in result) {
      setProblem(result.problem);
    } else if ((await save.run(result.uris, "Added.")) === true) {
      setUri("");
    }
  }
  async function remove(gone: string) {
    setSaid("");
    if ((await save.run(site.redirect_uris.filter((one) => one !== gone), "Removed.")) === true) {
      // The button that had the focus is gone.
      field.current?.querySelector("input")?.focus();
    }
  }
  return (
    <Section
      title="Redirect URIs"
      lead="Where browsers come back to after somebody has bound an agent to this site. Only these, letter by letter."
    >
      {site.redirect_uris.length === 0 ? (
        <p className="text-muted">None yet. Your site cannot ask for bindings until there is one.</p>
      ) : (
        <ul aria-label="Redirect URIs" className="divide-y divide-line">
          {site.redirect_uris.map((one) => (
            <li key={one} className="flex flex-wrap items-center justify-between gap-3 py-2 first:pt-0 last:pb-0">
              <code className="min-w-0 flex-1 basis-60 font-mono text-sm break-all">{one}</code>
              <Button kind="plain" label={`Remove ${one}`} busy={save.busy} onClick={() => void remove(one)}>
                Remove
              </Button>
            </li>
          ))}
        </ul>
      )}
      <form
        className="grid gap-4"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void add();
        }}
      >
        <div ref={field}>
          <Field
            label="Another redirect URI"
            hint={`An https address in full, such as https://shop.example/lime/callback. At most ${MOST_URIS}.`}
            type="url"
            inputMode="url"
            value={uri}
            error={problem}
            maxLength={LONGEST_URI}
            autoComplete="off"
            spellCheck={false}
            onChange={(value) => {
              setUri(value);
              setProblem(undefined);
            }}
          />
        </div>
        <Problem error={save.error} />
        <div className="flex flex-wrap items-center gap-3">
          <Button type="submit" kind="plain" busy={save.busy}>
            Add it
          </Button>
          <span role="status" className="text-muted">
            {said}
          </span>
        </div>
      </form>
    </Section>
  );
}
