/** The proof of work of protocol section 4, as a page does it. */

import { absorb, initial, pad } from "./sha256";

/** Highest difficulty that is begun, in bits: the protocol's own default limit for solvers. */
export const MAX_DIFFICULTY = 26;

const PREFIX = "lime:pow:v1\0";
const BLOCK = 64;

/**
 * The smallest decimal nonce from `from` on that solves the puzzle; `undefined` after `tries` of them.
 *
 * @throws RangeError if the difficulty is no whole number from 0 to {@link MAX_DIFFICULTY}.
 */
export function solve(challenge: string, difficulty: number, from: number, tries: number): string | undefined {
  if (!Number.isInteger(difficulty) || difficulty < 0 || difficulty > MAX_DIFFICULTY) {
    throw new RangeError(`difficulty ${difficulty} is not between 0 and ${MAX_DIFFICULTY}`);
  }
  const text = new TextEncoder();
  const head = text.encode(`${PREFIX}${challenge}\0`);
  // What every try has in common is hashed once.
  const whole = head.length - (head.length % BLOCK);
  const midstate = initial();
  absorb(midstate, head.slice(0, whole));
  const state = new Uint32Array(8);
  for (let nonce = from; nonce < from + tries; nonce++) {
    const digits = text.encode(String(nonce));
    const tail = new Uint8Array(head.length - whole + digits.length);
    tail.set(head.subarray(whole));
    tail.set(digits, head.length - whole);
    state.set(midstate);
    absorb(state, pad(tail, whole));
    // Valid below 2^(256 - difficulty): that many leading bits are zero, all of them in the first word.
    if (difficulty === 0 || state[0]! >>> (32 - difficulty) === 0) {
      return String(nonce);
    }
  }
  return undefined;
}
