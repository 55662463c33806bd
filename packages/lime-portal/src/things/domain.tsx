"use client";

import { useState } from "react";

import { call } from "@/api/client";
import type { Loaded } from "@/api/hooks";
import type { DomainCheck, DomainClaim, Site } from "@/api/types";
import { fieldError, otherError } from "@/lib/field-error";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Copyable } from "@/ui/copy";
import { Field } from "@/ui/field";
import { Badge, Notice, Problem } from "@/ui/notice";
import { Section } from "@/ui/page";
import { apiOf, SITE } from "./kinds";

type Method = "dns" | "file";

/** At which domain the site is, and the proof of it. */
export function Domain({ site, mutate }: { site: Site; mutate: Loaded<Site>["mutate"] }) {
  const [claim, setClaim] = useState<DomainClaim | undefined>(undefined);
  const [changing, setChanging] = useState(false);
  const path = `${apiOf(SITE, site.site_id)}/domain`;
  const ask = useAction(async (domain: string) => {
    const answer = await call<DomainClaim>(path, { method: "POST", body: { domain } });
    setClaim(answer);
    setChanging(false);
    await mutate();
  });
  const { domain, domain_verified: proven } = site;
  const asks = domain === null || changing;
  return (
    <Section
      title="Domain"
      lead="Agents are shown which domain your site is at, and whether you have proven that it is yours."
      action={domain === null ? undefined : <Badge tone={proven ? "good" : "warn"}>{proven ? "Proven" : "Not proven"}</Badge>}
    >
      {asks ? (
        <Ask
          current={domain}
          action={ask}
          onCancel={() => {
            ask.clear();
            setChanging(false);
          }}
        />
      ) : (
        <>
          <div className="flex flex-wrap items-center justify-between gap-3">
            <p className="min-w-0 font-medium break-all">{domain}</p>
            <Button
              kind="plain"
              onClick={() => {
                setChanging(true);
              }}
            >
              Change the domain
            </Button>
          </div>
          {proven ? null : <Unproven domain={domain} claim={claim} ask={ask} path={path} mutate={mutate} />}
        </>
      )}
    </Section>
  );
}

type Asking = { run: (domain: string) => Promise<unknown>; busy: boolean; error: unknown };

function Ask({ current, action, onCancel }: { current: string | null; action: Asking; onCancel: () => void }) {
  const [domain, setDomain] = useState(current ?? "");
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        void action.run(domain.trim());
      }}
    >
      <Field
        label="Domain of the site"
        hint="A host name such as shop.example. Another one than before has to be proven anew."
        value={domain}
        onChange={setDomain}
        error={fieldError(action.error, "domain")}
        maxLength={254}
        autoComplete="off"
        inputMode="url"
        spellCheck={false}
        required
        autoFocus={current !== null}
      />
      <Problem error={otherError(action.error, ["domain"])} />
      <div className="flex flex-wrap gap-3">
        <Button type="submit" busy={action.busy}>
          Use this domain
        </Button>
        {current === null ? null : (
          <Button kind="plain" onClick={onCancel}>
            Cancel
          </Button>
        )}
      </div>
    </form>
  );
}

function Unproven({
  domain, claim, ask, path, mutate,
}: {
  domain: string;
  claim: DomainClaim | undefined;
  ask: Asking;
  path: string;
  mutate: Loaded<Site>["mutate"];
}) {
  const [missing, setMissing] = useState<string | null>(null);
  const check = useAction(async (method: Method) => {
    setMissing(null);
    const found = await call<DomainCheck>(`${path}/check`, { method: "POST", body: { method } });
    setMissing(found.problem);
    await mutate();
  });
  if (claim?.domain !== domain) {
    return (
      <>
        <Problem error={ask.error} />
        <div>
          <Button busy={ask.busy} onClick={() => void ask.run(domain)}>
            Prove that it is yours
          </Button>
        </div>
      </>
    );
  }
  return (
    <>
      <p>Prove it in one of two ways. The proof is no secret, and can stay there.</p>
      <div className="grid gap-6 xl:grid-cols-2">
        <Way title="A DNS record" button="Check the DNS record" busy={check.busy} onCheck={() => void check.run("dns")}>
          <p className="text-muted">Add a TXT record with this name:</p>
          <Copyable text={claim.dns.name} what="the name of the record" />
          <p className="text-muted">and this value:</p>
          <Copyable text={claim.dns.value} what="the value of the record" />
        </Way>
        <Way title="A file" button="Check the file" busy={check.busy} onCheck={() => void check.run("file")}>
          <p className="text-muted">Serve a plain text file at this address:</p>
          <Copyable text={claim.file.url} what="the address of the file" />
          <p className="text-muted">that holds nothing but this line:</p>
          <Copyable text={claim.file.content} what="the content of the file" />
        </Way>
      </div>
      {missing === null ? null : (
        <Notice tone="warn">
          <p>{missing}</p>
          <p>Name servers may need a few minutes to show a new record. Check again then.</p>
        </Notice>
      )}
      <Problem error={check.error} />
    </>
  );
}

function Way({
  title, button, busy, onCheck, children,
}: {
  title: string;
  button: string;
  busy: boolean;
  onCheck: () => void;
  children: React.ReactNode;
}) {
  return (
    <div className="grid content-start gap-3">
      <h3 className="font-semibold">{title}</h3>
      {children}
      <div>
        <Button kind="plain" busy={busy} onClick={onCheck}>
          {button}
        </Button>
      </div>
    </div>
  );
}
