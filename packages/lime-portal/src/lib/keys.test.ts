import { expect, it } from "vitest";

import { newKey, newKeys } from "./keys";

it("makes another key each time", () => {
  expect(newKey()).toMatch(/^[0-9a-f]{32}$/u);
  expect(newKey()).not.toBe(newKey());
});

it("gives the same request the same key, and another one another", () => {
  const keyOf = newKeys();
  const first = keyOf({ code: "1" });
  const keys = [first, keyOf({ code: "2" }), keyOf(), newKeys()({ code: "1" })];
  expect(new Set(keys).size).toBe(4);
  // Also after another one was tried.
  expect(keyOf({ code: "1" })).toBe(first);
  expect(keyOf()).toBe(keys[2]);
});
