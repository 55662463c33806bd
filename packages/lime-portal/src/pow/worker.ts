/** Solves a puzzle away from the page, so that the page stays alive. */

import { solve } from "./solve";

export type Task = { challenge: string; difficulty: number };
export type Answer = { nonce: string } | { failed: string } | { tried: number };

const SLICE = 50_000;

self.onmessage = ({ data }: MessageEvent<Task>) => {
  self.postMessage(answer(data));
};

function answer({ challenge, difficulty }: Task): Answer {
  try {
    for (let from = 0; ; from += SLICE) {
      const nonce = solve(challenge, difficulty, from, SLICE);
      if (nonce !== undefined) {
        return { nonce };
      }
      self.postMessage({ tried: from + SLICE } satisfies Answer);
    }
  } catch (error) {
    return { failed: String(error) };
  }
}
