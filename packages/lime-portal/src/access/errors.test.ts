import { describe, expect, it } from "vitest";

import { ApiError } from "@/api/errors";
import { errorAt, errorBeside } from "./errors";

describe("a refusal is shown once, where it belongs", () => {
  it.each([
    ["WEAK_PASSWORD", undefined, "password"],
    ["INVALID_CODE", undefined, "code"],
    ["INVALID_REQUEST", { field: "email" }, "email"],
  ])("%s %j at %s", (code, detail, field) => {
    const error = new ApiError(400, code, "no", detail);
    expect(errorAt(field, error)).toBeDefined();
    expect(errorAt("other", error)).toBeUndefined();
    expect(errorBeside([field], error)).toBeUndefined();
    expect(errorBeside(["other"], error)).toBe(error);
  });

  it("what is about no field is shown beside them", () => {
    const error = new ApiError(429, "RATE_LIMIT_EXCEEDED", "no");
    expect(errorBeside(["email"], error)).toBe(error);
    const bug = new Error("bug");
    expect(errorAt("email", bug)).toBeUndefined();
    expect(errorBeside(["email"], bug)).toBe(bug);
  });
});
