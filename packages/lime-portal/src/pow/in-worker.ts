"use client";

import type { Answer, Task } from "./worker";

/**
 * The nonce for a puzzle, found in a worker; `signal` stops it.
 *
 * @throws Error if the worker cannot run or refuses the puzzle, and the signal's reason when stopped.
 */
export function solveInWorker(task: Task, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    const stop = () => {
      worker.terminate();
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", stop, { once: true });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      signal.removeEventListener("abort", stop);
      worker.terminate();
      if ("nonce" in data) {
        resolve(data.nonce);
      } else {
        reject(new Error(data.failed));
      }
    };
    worker.onerror = () => {
      signal.removeEventListener("abort", stop);
      worker.terminate();
      reject(new Error("the worker failed"));
    };
    worker.postMessage(task);
  });
}
