import { expect, test, vi } from "vitest";

import { ApiError } from "@/api/errors";
import type { Read } from "@/api/stream";
import { LONGEST_PAUSE, NOTHING_YET, PATIENCE, pause, sleep, watch, watching, type Change, type Watching } from "./watch";

type Stream = (string[] | Error | "silence")[];

/** Streams one after the other; what was asked for and said on the way. */
async function watched(streams: (Stream | Error)[], stopAfter = streams.length) {
  const changes: Change<unknown>[] = [];
  const pauses: number[] = [];
  const stop = new AbortController();
  let opened = 0;
  await watch({
    open: () => {
      const stream = streams[opened];
      opened += 1;
      return stream instanceof Error ? Promise.reject(stream) : Promise.resolve(reader(stream ?? []));
    },
    parse: (text) => JSON.parse(text) as unknown,
    onChange: (change) => changes.push(change),
    signal: stop.signal,
    sleep: async (milliseconds, signal) => {
      if (milliseconds === PATIENCE) {
        // Never over, unless the stream says nothing at all.
        await (silent ? Promise.resolve() : sleep(60_000, signal));
        return;
      }
      pauses.push(milliseconds);
      if (opened >= stopAfter) {
        stop.abort();
      }
      await Promise.resolve();
    },
    random: () => 1,
  });
  return { changes, pauses, opened };
}

let silent = false;

function reader(stream: Stream): Read {
  let at = 0;
  return () => {
    const next = stream[at];
    at += 1;
    if (next === "silence") {
      silent = true;
      return new Promise(() => undefined);
    }
    silent = stream[at] === "silence";
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next ?? null);
  };
}

const down = new ApiError(0, "UNREACHABLE", "No answer came.");

test("what comes is told, and a stream that ends is followed by the next one", async () => {
  const { changes } = await watched([[['{"n":1}'], [], ['{"n":2}', '{"n":3}']], [['{"n":4}']]]);
  expect(changes).toEqual([
    { type: "connecting" },
    { type: "live" },
    { type: "data", data: { n: 1 } },
    { type: "data", data: { n: 2 } },
    { type: "data", data: { n: 3 } },
    { type: "connecting" },
    { type: "live" },
    { type: "data", data: { n: 4 } },
  ]);
});

test("the pauses grow while nothing works, and begin anew once something came", async () => {
  const { pauses } = await watched([down, down, down, [[]], down]);
  expect(pauses).toEqual([1000, 2000, 4000, 1000, 1000]);
});

test("a stream that ends without a word counts as a failure", async () => {
  const { pauses } = await watched([[], [], [["{}"]], []]);
  expect(pauses).toEqual([1000, 2000, 1000, 1000]);
});

test("a stream that breaks in the middle is waited for", async () => {
  const { changes } = await watched([[['{"n":1}'], new TypeError("network error")]]);
  expect(changes.map((change) => change.type)).toEqual(["connecting", "live", "data", "waiting"]);
});

test("a stream that falls silent is given up", async () => {
  const { changes } = await watched([[['{"n":1}'], "silence"]]);
  expect(changes.at(-1)).toMatchObject({ type: "waiting", error: { code: "UNREACHABLE" } });
});

test("what the server asks for is waited at least", async () => {
  const { pauses } = await watched([new ApiError(429, "RATE_LIMIT_EXCEEDED", "Slowly.", undefined, 5)]);
  expect(pauses).toEqual([6000]);
});

test.each([401, 403, 404])("a refusal with status %i is final", async (status) => {
  const { changes, pauses } = await watched([new ApiError(status, "NO", "No.")]);
  expect(changes.at(-1)).toMatchObject({ type: "refused", error: { status } });
  expect(pauses).toEqual([]);
});

test("what is told after the page is gone is nothing", async () => {
  const changes: unknown[] = [];
  const stop = new AbortController();
  await watch({
    open: (signal) => {
      stop.abort();
      expect(signal.aborted).toBe(true);
      return Promise.reject(new DOMException("aborted", "AbortError"));
    },
    parse: String,
    onChange: (change) => changes.push(change),
    signal: stop.signal,
    sleep: () => new Promise(() => undefined),
    random: () => 0,
  });
  expect(changes).toEqual([{ type: "connecting" }]);
});

test("no pause is longer than half a minute, and each is random", () => {
  expect(pause(50, 1)).toBe(LONGEST_PAUSE);
  expect(pause(3, 0.25)).toBe(1000);
  expect(pause(3, 0)).toBe(0);
});

test("what came stays on the screen while the connection does not", () => {
  let state: Watching<number> = NOTHING_YET;
  state = watching(state, { type: "data", data: 7 });
  state = watching(state, { type: "waiting", error: down });
  expect(state).toEqual({ connection: "waiting", data: 7, error: down });
  state = watching(state, { type: "connecting" });
  expect(state).toEqual({ connection: "connecting", data: 7, error: undefined });
  state = watching(state, { type: "live" });
  expect(state.connection).toBe("live");
  state = watching(state, { type: "refused", error: down });
  expect(state).toEqual({ connection: "refused", data: 7, error: down });
});

test("a sleep ends in time, or when it is told to", async () => {
  vi.useFakeTimers();
  const stop = new AbortController();
  const ended: string[] = [];
  void sleep(1000, stop.signal).then(() => ended.push("in time"));
  await vi.advanceTimersByTimeAsync(1000);
  void sleep(1000, stop.signal).then(() => ended.push("told to"));
  stop.abort();
  await vi.advanceTimersByTimeAsync(0);
  void sleep(1000, stop.signal).then(() => ended.push("at once"));
  await vi.advanceTimersByTimeAsync(0);
  expect(ended).toEqual(["in time", "told to", "at once"]);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});
