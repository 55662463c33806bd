import { describe, expect, it } from "vitest";

import { safeNext, signInPage, withNext } from "./next-page";

const HOME = "https://lime.example";

describe("safeNext", () => {
  it.each([
    ["/agents/?id=1", "/agents/?id=1"],
    ["/connect/?id=a%26b", "/connect/?id=a%26b"],
    ["/a/../sites/", "/sites/"],
  ])("goes to the page %s", (next, where) => {
    expect(safeNext(next, HOME)).toBe(where);
  });

  it.each([
    null,
    "",
    "agents",
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "/\t/evil.example/",
    "/\n/evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    " //evil.example",
    "/api/v1/foundation/users/logout",
    "/x/../api/v1/",
    "//[",
    "/.//evil.example/",
    "/a/..//evil.example/",
    "/%2e//evil.example/",
    "/.\\/evil.example",
    "https:/evil.example",
  ])("does not follow %j", (next) => {
    expect(safeNext(next, HOME)).toBe("/");
  });

  it("drops a fragment, which could hold what a page trusts", () => {
    expect(safeNext("/first/#token=tk_x", HOME)).toBe("/first/");
  });
});

describe("withNext and signInPage", () => {
  it("carry the page along, quoted", () => {
    expect(withNext("/login/", "/connect/?id=1")).toBe("/login/?next=%2Fconnect%2F%3Fid%3D1");
    expect(signInPage("/sites/?a=b")).toBe("/login/?next=%2Fsites%2F%3Fa%3Db");
  });

  it("are plain where there is nothing to carry", () => {
    expect([withNext("/login/", null), withNext("/login/", undefined), withNext("/login/", "")]).toEqual(
      Array(3).fill("/login/"),
    );
    expect(signInPage("/")).toBe("/login/");
  });
});
