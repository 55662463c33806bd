"use client";

import type { ReactNode } from "react";

import { explain, type Words } from "@/api/errors";
import { Button } from "./button";
import { classes } from "./classes";

export type Tone = "info" | "good" | "warn" | "bad";

const TONES: Readonly<Record<Tone, string>> = {
  info: "border-edge bg-raised text-ink",
  good: "border-good bg-good-soft text-good",
  warn: "border-warn bg-warn-soft text-warn",
  bad: "border-bad bg-bad-soft text-bad",
};

/** A box that says something; `bad` is announced at once, the others when there is a pause. */
export function Notice({ tone = "info", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <div
      role={tone === "bad" ? "alert" : "status"}
      className={classes("rounded-lg border-l-4 px-4 py-3", TONES[tone])}
    >
      {children}
    </div>
  );
}

/** What went wrong and what to do, in the words of its place; nothing while nothing did. */
export function Problem({ error, here, onRetry }: { error: unknown; here?: Words; onRetry?: () => void }) {
  if (error === undefined) {
    return null;
  }
  return (
    <Notice tone="bad">
      <p>{explain(error, here)}</p>
      {onRetry === undefined ? null : (
        <Button kind="plain" className="mt-3" onClick={onRetry}>
          Try again
        </Button>
      )}
    </Notice>
  );
}

/** A word about how something stands. */
export function Badge({ tone = "info", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span className={classes("inline-block rounded-full border px-2.5 py-0.5 text-sm whitespace-nowrap", TONES[tone])}>
      {children}
    </span>
  );
}
