import { createHash } from "node:crypto";

import { describe, expect, it } from "vitest";

import { digest } from "./sha256";
import { MAX_DIFFICULTY, solve } from "./solve";

function hex(words: Uint32Array): string {
  return [...words].map((word) => word.toString(16).padStart(8, "0")).join("");
}

function reference(message: string): string {
  return createHash("sha256").update(message).digest("hex");
}

describe("sha256", () => {
  it("agrees with the platform's on every length around the block boundaries", () => {
    for (let length = 0; length <= 200; length++) {
      const message = "x".repeat(length);
      expect(hex(digest(new TextEncoder().encode(message)))).toBe(reference(message));
    }
  });
});

describe("solve", () => {
  it.each([1, 43, 51, 52, 64, 128])("finds the smallest nonce for a challenge of %i characters", (length) => {
    const challenge = "c".repeat(length);
    const zeros = 9;
    const valid = (nonce: number) =>
      BigInt(`0x${reference(`lime:pow:v1\0${challenge}\0${nonce}`)}`) < 1n << BigInt(256 - zeros);
    let smallest = 0;
    while (!valid(smallest)) {
      smallest++;
    }
    expect(solve(challenge, zeros, 0, 100_000)).toBe(String(smallest));
  });

  it("takes any nonce at difficulty 0", () => {
    expect(solve("c", 0, 7, 1)).toBe("7");
  });

  it("stops after as many tries as it was given", () => {
    expect(solve("c", MAX_DIFFICULTY, 0, 10)).toBeUndefined();
  });

  it.each([-1, 1.5, 27, Number.NaN])("refuses difficulty %d before it begins", (difficulty) => {
    expect(() => solve("c", difficulty, 0, 1)).toThrow(RangeError);
  });
});
