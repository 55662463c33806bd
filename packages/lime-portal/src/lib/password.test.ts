import { describe, expect, it } from "vitest";

import { advise } from "./password";

describe("advise", () => {
  it.each([
    ["", false, /^At least 12 characters/],
    ["abcdefgh", false, /^4 more/],
    ["abcdefghijk", false, /^One more/],
    ["aaaaaaaaaaaaaaaa", false, /vary it/],
    ["AaAaBbBbCcDdAaBb", false, /vary it/],
    ["river at dawn", true, /^Long enough\. Longer/],
    ["a quiet river at dawn", true, /^Long and good/],
    // Bytes, as the server counts: six letters of three bytes each.
    ["日本語文字列", true, /^Long enough/],
    // Compatibility forms are one letter of one byte each.
    ["ａｂｃｄｅｆｇｈｉｊｋ", false, /^One more/],
  ])("%j", (password, enough, text) => {
    const advice = advise(password);
    expect(advice.enough).toBe(enough);
    expect(advice.text).toMatch(text);
  });
});
