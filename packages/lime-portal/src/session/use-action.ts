"use client";

import { useState } from "react";

import { useStepUp, withStepUp } from "./step-up";

export type Action<A extends readonly unknown[], R> = {
  /** Do it; `undefined` if it failed (see `error`) or is already being done. */
  run: (...args: A) => Promise<R | undefined>;
  busy: boolean;
  /** Why the last try failed. */
  error: unknown;
  clear: () => void;
};

/** Something an owner does: one at a time, its failure kept to be shown, a step-up asked for when needed. */
export function useAction<A extends readonly unknown[], R>(work: (...args: A) => Promise<R>): Action<A, R> {
  const ask = useStepUp();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  async function run(...args: A): Promise<R | undefined> {
    if (busy) {
      return undefined;
    }
    setBusy(true);
    setError(undefined);
    try {
      return await withStepUp(() => work(...args), ask);
    } catch (refusal) {
      setError(refusal);
      return undefined;
    } finally {
      setBusy(false);
    }
  }
  return {
    run,
    busy,
    error,
    clear: () => {
      setError(undefined);
    },
  };
}
