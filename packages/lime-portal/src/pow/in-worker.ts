"use client";

import type { Answer, Task } from "./worker";

/**
 * The nonce for a puzzle, found in a worker; `signal` stops it.
 *
 * `onProgress` is told now and then how likely it was to be done by now, from 0 to 1: nobody knows how
 * many tries a puzzle takes.
 *
 * @throws Error if the worker cannot run or refuses the puzzle, and the signal's reason when stopped.
 */
export function solveInWorker(task: Task, signal: AbortSignal, onProgress?: (likely: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    const end = () => {
      signal.removeEventListener("abort", stop);
      worker.terminate();
    };
    const stop = () => {
      end();
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", stop);
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if ("tried" in data) {
        onProgress?.(likelihood(data.tried, task.difficulty));
        return;
      }
      end();
      if ("nonce" in data) {
        resolve(data.nonce);
      } else {
        reject(new Error(data.failed));
      }
    };
    worker.onerror = () => {
      end();
      reject(new Error("the worker failed"));
    };
    worker.postMessage(task);
  });
}

/** How likely a puzzle of `difficulty` bits is solved after `tried` tries: each hits with 2^-difficulty. */
export function likelihood(tried: number, difficulty: number): number {
  return -Math.expm1(-tried / 2 ** difficulty);
}
