"use client";

import { useState } from "react";

import { call } from "@/api/client";
import type { ReviewedCase } from "@/api/types";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Choice, Field } from "@/ui/field";
import { Problem } from "@/ui/notice";
import { Section } from "@/ui/page";
import { LONGEST_REASON } from "./judge";

/** Approves a case with a level, or rejects it; either once and for all. */
export function Decide({
  path, highest, onDecided,
}: {
  path: string;
  highest: number;
  onDecided: (decided: ReviewedCase) => Promise<unknown>;
}) {
  const [outcome, setOutcome] = useState("");
  const [reason, setReason] = useState("");
  const [missing, setMissing] = useState<{ outcome: boolean; reason: boolean }>();
  const decide = useAction(async () => {
    const body =
      outcome === "reject" ? { outcome, reason } : { outcome: "approve", level: Number(outcome), reason };
    await onDecided(await call<ReviewedCase>(`${path}/decide`, { method: "POST", body }));
  });
  const levels = Array.from({ length: highest }, (_, index) => String(index + 1));
  return (
    <Section title="Decision" lead="It cannot be taken back. The owner can read the reason.">
      <form
        noValidate
        className="grid gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          const found = { outcome: outcome === "", reason: reason.trim() === "" };
          setMissing(found);
          if (!found.outcome && !found.reason) {
            void decide.run();
          }
        }}
      >
        <Choice
          label="Outcome"
          value={outcome}
          onChange={setOutcome}
          options={[
            { value: "", label: "Choose one" },
            ...levels.map((level) => ({ value: level, label: `Approve level ${level}` })),
            { value: "reject", label: "Reject" },
          ]}
        />
        {missing?.outcome === true && outcome === "" ? (
          <p role="alert" className="text-sm text-bad">
            Choose an outcome.
          </p>
        ) : null}
        <Field
          label="Reason"
          hint="What was seen, or what is missing."
          value={reason}
          onChange={setReason}
          error={missing?.reason === true && reason.trim() === "" ? "Give a reason." : undefined}
          required
          maxLength={LONGEST_REASON}
        />
        <Problem error={decide.error} />
        <div>
          <Button type="submit" busy={decide.busy}>
            Decide
          </Button>
        </div>
      </form>
    </Section>
  );
}
