import { describe, expect, it } from "vitest";

import { left } from "./countdown";

const UNTIL = "2026-11-23T10:00:00Z";
const END = Date.parse(UNTIL);

describe("left", () => {
  it.each([
    [0.2, "1 s"],
    [59, "59 s"],
    [60, "1 min 00 s"],
    [545, "9 min 05 s"],
    [3600, "1 h 00 min"],
    [3960, "1 h 06 min"],
  ])("%d seconds before", (seconds, text) => {
    expect(left(UNTIL, END - seconds * 1000)).toEqual({ over: false, text });
  });

  it("is over at the moment itself, and later", () => {
    expect(left(UNTIL, END).over).toBe(true);
    expect(left(UNTIL, END + 1).over).toBe(true);
  });

  it("takes what is no time for one that has passed", () => {
    expect(left("soon", END).over).toBe(true);
  });
});
