import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { likelihood, solveInWorker } from "./in-worker";
import type { Answer } from "./worker";

class FakeWorker {
  static made: FakeWorker[] = [];
  onmessage: (event: { data: Answer }) => void = () => undefined;
  onerror: () => void = () => undefined;
  postMessage = vi.fn();
  terminate = vi.fn();
  constructor() {
    FakeWorker.made.push(this);
  }
}

const TASK = { challenge: "c", difficulty: 10 };

beforeEach(() => {
  FakeWorker.made = [];
  vi.stubGlobal("Worker", FakeWorker);
});
afterEach(() => {
  vi.unstubAllGlobals();
});

function started(onProgress?: (likely: number) => void) {
  const control = new AbortController();
  const solving = solveInWorker(TASK, control.signal, onProgress);
  const worker = FakeWorker.made[0]!;
  expect(worker.postMessage).toHaveBeenCalledWith(TASK);
  return { control, solving, worker };
}

describe("solveInWorker", () => {
  it("gives the nonce, and tells how likely it was by now", async () => {
    const progress = vi.fn();
    const { solving, worker } = started(progress);
    worker.onmessage({ data: { tried: 1024 } });
    worker.onmessage({ data: { nonce: "7" } });
    await expect(solving).resolves.toBe("7");
    expect(progress).toHaveBeenCalledExactlyOnceWith(likelihood(1024, 10));
    expect(worker.terminate).toHaveBeenCalledTimes(1);
  });

  it("needs nobody who looks at the progress", async () => {
    const { solving, worker } = started();
    worker.onmessage({ data: { tried: 1024 } });
    worker.onmessage({ data: { nonce: "8" } });
    await expect(solving).resolves.toBe("8");
  });

  it("can be stopped, which ends the worker", async () => {
    const { control, solving, worker } = started();
    control.abort(new Error("stopped"));
    await expect(solving).rejects.toThrow("stopped");
    expect(worker.terminate).toHaveBeenCalledTimes(1);
  });

  it("does not begin when it was stopped before", async () => {
    await expect(solveInWorker(TASK, AbortSignal.abort(new Error("before")))).rejects.toThrow("before");
    expect(FakeWorker.made).toEqual([]);
  });

  it("fails when the worker refuses the puzzle or cannot run", async () => {
    const refused = started();
    refused.worker.onmessage({ data: { failed: "RangeError" } });
    await expect(refused.solving).rejects.toThrow("RangeError");
    FakeWorker.made = [];
    const broken = started();
    broken.worker.onerror();
    await expect(broken.solving).rejects.toThrow("the worker failed");
    expect(broken.worker.terminate).toHaveBeenCalledTimes(1);
  });
});

describe("likelihood", () => {
  it("grows from nothing towards certainty, and never gets there", () => {
    expect(likelihood(0, 18)).toBeCloseTo(0);
    expect(likelihood(2 ** 18, 18)).toBeCloseTo(1 - 1 / Math.E);
    expect(likelihood(5 * 2 ** 18, 18)).toBeLessThan(1);
  });
});
