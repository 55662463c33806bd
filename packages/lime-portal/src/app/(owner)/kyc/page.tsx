"use client";

import { useEffect, useRef } from "react";

import { useApi } from "@/api/hooks";
import type { KycCase, KycStatus } from "@/api/types";
import { Ask } from "@/kyc/ask";
import { CaseState, DocumentList } from "@/kyc/case-state";
import { HIGHEST_LEVEL, LEVELS } from "@/kyc/levels";
import { useMe } from "@/session/session";
import { classes } from "@/ui/classes";
import { Loading } from "@/ui/loading";
import { Badge, Problem } from "@/ui/notice";
import { Facts, Page, Section } from "@/ui/page";
import { Time } from "@/ui/time";

export default function Identity() {
  const { data, error, mutate } = useApi<KycStatus>("/foundation/kyc");
  return (
    <Page title="Identity" lead="How well you are known. Passports of your agents carry the level, and sites may ask for one.">
      {data === undefined ? (
        error === undefined ? (
          <Loading what="your identity" />
        ) : (
          <Problem error={error} onRetry={() => void mutate()} />
        )
      ) : (
        <Status status={data} onChange={() => mutate()} />
      )}
    </Page>
  );
}

function Status({ status, onChange }: { status: KycStatus; onChange: () => Promise<unknown> }) {
  const { level, takes_documents, case: latest } = status;
  const { me, reload } = useMe();
  const review = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Decided meanwhile: the rest of the portal should know, too.
    if (level !== me.kyc_level) {
      void reload();
    }
  }, [level, me.kyc_level, reload]);
  const waits = latest?.state === "OPEN" || latest?.state === "SUBMITTED";
  return (
    <>
      <Section
        title={`Your level is ${level}`}
        lead="What exactly each takes is for the operator of this server to say; usually it is this."
      >
        <ol className="grid gap-2">
          {LEVELS.map(([name, meaning], index) => (
            <li
              key={name}
              aria-current={index === level ? "true" : undefined}
              className={classes("rounded-lg border p-3", index === level ? "border-accent bg-raised" : "border-line")}
            >
              <p className="flex flex-wrap items-center gap-2 font-medium">
                {index}: {name}
                {index === level ? <Badge tone="good">your level</Badge> : null}
              </p>
              <p className="text-muted">{meaning}</p>
            </li>
          ))}
        </ol>
      </Section>
      {latest === null ? null : (
        <div ref={review} tabIndex={-1} className="rounded-xl">
          <Latest latest={latest} />
        </div>
      )}
      {waits || level >= HIGHEST_LEVEL ? null : (
        <Section
          title="Ask for a higher level"
          lead={takes_documents ? "Send documents, and an operator of this server reviews them." : undefined}
        >
          <Ask
            key={level}
            level={level}
            takesDocuments={takes_documents}
            onAsked={async () => {
              await onChange();
              // The form that was sent is gone.
              review.current?.focus();
            }}
          />
        </Section>
      )}
    </>
  );
}

function Latest({ latest }: { latest: KycCase }) {
  return (
    <Section title="Your latest request" lead={SAID[latest.state]} action={<CaseState state={latest.state} />}>
      <Facts
        facts={[
          ["Asked for", `level ${latest.target_level}`],
          ["Sent", <Time key="sent" at={latest.created_at} />],
          latest.decided_at === null
            ? ["Decided by, at the latest", <Time key="expires" at={latest.expires_at} />]
            : ["Decided", <Time key="decided" at={latest.decided_at} />],
          ...(latest.level === null ? [] : [["Granted", `level ${latest.level}`] as const]),
          ...(latest.reason === null ? [] : [["Reason", latest.reason] as const]),
          ...(latest.documents.length === 0
            ? []
            : [["Documents", <DocumentList key="documents" documents={latest.documents} />] as const]),
        ]}
      />
    </Section>
  );
}

const SAID: Readonly<Record<KycCase["state"], string>> = {
  OPEN: "It has begun; the provider waits for you. This page shows the result when it is there.",
  SUBMITTED: "An operator will review it. This page shows the result when it is there.",
  APPROVED: "It was approved.",
  REJECTED: "It was rejected. Read the reason below; you can ask again with other documents.",
  EXPIRED: "Nobody decided it in time. You can ask again.",
};
