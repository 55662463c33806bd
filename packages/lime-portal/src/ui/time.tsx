"use client";

import { useSyncExternalStore } from "react";

/** A moment, as the reader's own language writes it; the exact time for machines and on hover. */
export function Time({ at, none = "never" }: { at: string | null; none?: string }) {
  // The build has no reader, so it must not guess a language or a time zone.
  const readable = useSyncExternalStore(never, () => (at === null ? "" : format(at)), () => "");
  if (at === null) {
    return <span className="text-muted">{none}</span>;
  }
  return (
    <time dateTime={at} title={at} className="whitespace-nowrap">
      {readable}
    </time>
  );
}

function format(at: string): string {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(new Date(at));
}

function never(): () => void {
  return () => undefined;
}
