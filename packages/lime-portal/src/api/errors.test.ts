import { describe, expect, it } from "vitest";

import { ApiError, AUTHENTICATOR_CODE, MAILED_CODE, PageError, RECOVERY_CODE, explain } from "./errors";

describe("explain", () => {
  it.each<[unknown, RegExp]>([
    [new ApiError(400, "INVALID_CODE", "no"), /^That code is wrong/],
    [new ApiError(400, "WEAK_PASSWORD", "A password has 12 to 1024 bytes."), /^A password has 12/],
    [new ApiError(0, "UNREACHABLE", "x"), /cannot be reached/],
    [new ApiError(503, "UNAVAILABLE", "x"), /cannot answer right now/],
    [new ApiError(500, "INTERNAL_ERROR", "x", undefined, undefined, "r-1"), /name this request: r-1\.$/],
    [new ApiError(502, "UNREADABLE", "x"), /tell its operator\.$/],
    [new PageError("Do this."), /^Do this\.$/],
    [new TypeError("secret inside"), /^Something went wrong on this page/],
    ["text", /^Something went wrong on this page/],
  ])("%s", (error, said) => {
    expect(explain(error)).toMatch(said);
  });

  it("offers another code only where one can be asked for", () => {
    const wrong = new ApiError(400, "INVALID_CODE", "no");
    expect(explain(wrong, MAILED_CODE)).toMatch(/ask for another\.$/);
    for (const here of [undefined, AUTHENTICATOR_CODE, RECOVERY_CODE]) {
      expect(explain(wrong, here)).not.toMatch(/ask for/);
    }
    expect(explain(new ApiError(404, "NOT_FOUND", "no"), MAILED_CODE)).toMatch(/^This is not there/);
  });

  it.each([
    [1, "a second"],
    [89, "89 seconds"],
    [90, "2 minutes"],
    [5340, "89 minutes"],
    [7200, "2 hours"],
    [undefined, "60 seconds"],
  ])("after %s s says to wait %s", (seconds, wait) => {
    expect(explain(new ApiError(429, "RATE_LIMIT_EXCEEDED", "x", undefined, seconds))).toBe(
      `Too many tries. Wait ${wait}, then try again.`,
    );
  });
});

describe("ApiError.field", () => {
  it.each([
    [{ field: "email" }, "email"],
    [{ problems: [{ where: "body.name", what: "x" }] }, "name"],
    [{ problems: [{ where: "query.limit" }] }, undefined],
    [{ problems: [null] }, undefined],
    [{ problems: [] }, undefined],
    [{ problems: "x" }, undefined],
    [{ field: 3 }, undefined],
    [undefined, undefined],
  ])("of %j is %j", (detail, field) => {
    expect(new ApiError(400, "INVALID_REQUEST", "x", detail).field).toBe(field);
  });
});
