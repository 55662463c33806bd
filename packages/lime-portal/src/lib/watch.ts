/** Watching a stream for as long as a page is open: it ends, breaks and falls silent, and comes back. */

import { ApiError } from "@/api/errors";
import type { Read } from "@/api/stream";

/** Milliseconds without a sign of life after which a stream is given up (protocol section 10). */
export const PATIENCE = 40_000;
/** Milliseconds: the longest pause before the first new try after a failure; it doubles with each one more. */
export const FIRST_PAUSE = 1_000;
/** Milliseconds: the longest pause of all. Somebody is looking at the page. */
export const LONGEST_PAUSE = 30_000;

export type Connection = "connecting" | "live" | "waiting" | "refused";

export type Watching<T> = {
  connection: Connection;
  /** The newest that came; it stays while the connection does not. */
  data: T | undefined;
  /** Why it waits, or was refused. */
  error: unknown;
};

export type Change<T> =
  | { type: "connecting" }
  | { type: "live" }
  | { type: "data"; data: T }
  | { type: "waiting"; error: unknown }
  | { type: "refused"; error: unknown };

export const NOTHING_YET: Watching<never> = { connection: "connecting", data: undefined, error: undefined };

export function watching<T>(before: Watching<T>, change: Change<T>): Watching<T> {
  switch (change.type) {
    case "data":
      return { connection: "live", data: change.data, error: undefined };
    case "live":
    case "connecting":
      return { ...before, connection: change.type, error: undefined };
    case "waiting":
    case "refused":
      return { ...before, connection: change.type, error: change.error };
  }
}

export type Parts<T> = {
  open: (signal: AbortSignal) => Promise<Read>;
  parse: (text: string) => T;
  onChange: (change: Change<T>) => void;
  /** Ends everything. */
  signal: AbortSignal;
  /** Resolves after these milliseconds, or when the signal says so. */
  sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** From 0 to 1. */
  random: () => number;
};

/** Milliseconds to wait after so many failures in a row: random, so that a thousand pages do not come at once. */
export function pause(failures: number, random: number, retryAfter = 0): number {
  const most = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.max(0, failures - 1));
  return retryAfter * 1000 + Math.round(random * most);
}

/** Follow the stream until the signal ends it, or the server says that coming back cannot help. */
export async function watch<T>(parts: Parts<T>): Promise<void> {
  const { onChange, signal, sleep, random } = parts;
  let failures = 0;
  // Read by a function, because it changes while this one waits.
  const over = () => signal.aborted;
  while (!over()) {
    onChange({ type: "connecting" });
    let retryAfter: number | undefined;
    try {
      // The server ends every stream after a while, and sees again who is asking. One that said
      // nothing at all is no better than none.
      failures = (await follow(parts, () => { failures = 0; })) ? 0 : failures + 1;
    } catch (error) {
      if (over()) {
        return;
      }
      if (isFinal(error)) {
        onChange({ type: "refused", error });
        return;
      }
      failures += 1;
      retryAfter = error instanceof ApiError ? error.retryAfter : undefined;
      onChange({ type: "waiting", error });
    }
    await sleep(pause(failures, random(), retryAfter), signal);
  }
}

/** One connection, until it ends: whether anything came. Throws if it breaks, and if nothing comes for too long. */
async function follow<T>({ open, parse, onChange, signal, sleep }: Parts<T>, onLife: () => void): Promise<boolean> {
  const connection = new AbortController();
  const both = AbortSignal.any([signal, connection.signal]);
  try {
    const read = await soon(open(both), sleep, both);
    onChange({ type: "live" });
    let came = false;
    for (let events = await soon(read(), sleep, both); events !== null; events = await soon(read(), sleep, both)) {
      onLife();
      came = true;
      for (const event of events) {
        onChange({ type: "data", data: parse(event) });
      }
    }
    return came;
  } finally {
    connection.abort();
  }
}

/** What `work` gives, if it does so within our patience. */
async function soon<R>(work: Promise<R>, sleep: Parts<never>["sleep"], signal: AbortSignal): Promise<R> {
  const done = new AbortController();
  const silence = sleep(PATIENCE, AbortSignal.any([signal, done.signal])).then((): never => {
    throw new ApiError(0, "UNREACHABLE", "Nothing came for too long.");
  });
  silence.catch(() => undefined);
  work.catch(() => undefined);
  try {
    return await Promise.race([work, silence]);
  } finally {
    done.abort();
  }
}

/** Whether asking again would only be refused again. */
function isFinal(error: unknown): boolean {
  return error instanceof ApiError && [401, 403, 404].includes(error.status);
}

/** As {@link Parts.sleep} wants it. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done);
  });
}
