import { expect, test } from "vitest";

import { ApiError } from "@/api/errors";
import { age } from "./age";
import { fieldError, otherError } from "./field-error";
import { initials } from "./initials";
import { OVERLAPS, overlapOf } from "./overlap";

test.each([
  [0, "0 s"],
  [59_999, "59 s"],
  [60_000, "1 min"],
  [3_599_000, "59 min"],
  [3_600_000, "1 h"],
  [47 * 3_600_000, "47 h"],
  [48 * 3_600_000, "2 days"],
])("%i ms ago is %s", (milliseconds, words) => {
  const at = "2026-11-23T10:00:00Z";
  expect(age(at, Date.parse(at) + milliseconds)).toBe(words);
});

test("nothing is from the future, whatever the clocks say", () => {
  expect(age("2026-11-23T10:00:00Z", Date.parse("2026-11-23T09:00:00Z"))).toBe("0 s");
});

test.each([
  ["Research agent", "RA"],
  ["shop", "S"],
  ["The Example Shop", "TS"],
  ["<b>bold</b>", "BB"],
  ["élan 𝒜gent", "É𝒜"],
  ["***", "?"],
])("%s is %s in short", (name, letters) => {
  expect(initials(name)).toBe(letters);
});

test("overlaps go from none to the server's seven days, and an hour is offered first", () => {
  const seconds = OVERLAPS.map((overlap) => overlap.seconds);
  expect(seconds[0]).toBe(3600);
  expect([...seconds].sort((a, b) => a - b)).toEqual([0, 3600, 86_400, 604_800]);
  expect(overlapOf("0").meaning).toMatch(/at once/);
  expect(overlapOf("nonsense")).toBe(OVERLAPS[0]);
});

test("a refusal about a field is said there, and nowhere else", () => {
  const error = new ApiError(400, "INVALID_REQUEST", "A name has letters.", { field: "display_name" });
  expect(fieldError(error, "display_name")).toBe("A name has letters.");
  expect(fieldError(error, "description")).toBeUndefined();
  expect(otherError(error, ["display_name"])).toBeUndefined();
  expect(otherError(error, ["description"])).toBe(error);
  const other = new ApiError(500, "X", "y");
  expect(otherError(other, ["display_name"])).toBe(other);
  expect(fieldError(new Error("x"), "display_name")).toBeUndefined();
});
