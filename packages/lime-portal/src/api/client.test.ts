import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { call, cookie, segment } from "./client";
import { ApiError, UNREACHABLE } from "./errors";

const fetched = vi.fn<typeof fetch>();

beforeEach(() => {
  fetched.mockReset();
  vi.stubGlobal("fetch", fetched);
});
afterEach(() => {
  vi.unstubAllGlobals();
});

function answers(status: number, body: unknown, headers: Record<string, string> = {}) {
  fetched.mockResolvedValueOnce(new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers }));
}

function asked(): Parameters<typeof fetch> {
  const [first] = fetched.mock.calls;
  if (first === undefined) {
    throw new Error("nothing was asked");
  }
  return first;
}

function sent(): RequestInit & { headers: Headers } {
  return asked()[1] as RequestInit & { headers: Headers };
}

async function refused(): Promise<ApiError> {
  const error: unknown = await call("/x").catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

describe("call", () => {
  it("gives the data of the envelope, and asks only its own origin", async () => {
    answers(200, { ok: true, data: { a: 1 } });
    await expect(call("/x?y=1")).resolves.toEqual({ a: 1 });
    expect(asked()[0]).toBe("/api/v1/x?y=1");
    expect(sent()).toMatchObject({ method: "GET", body: null, credentials: "same-origin", redirect: "error" });
    expect(sent().headers.get("X-CSRF-Token")).toBeNull();
    expect(sent().headers.get("Content-Type")).toBeNull();
  });

  it("repeats the CSRF cookie in a header where something changes", async () => {
    vi.spyOn(document, "cookie", "get").mockReturnValue("a=b; lime_csrf=secret");
    answers(200, { ok: true, data: null });
    await call("/x", { method: "POST", body: { b: 2 }, idempotencyKey: "k" });
    expect(sent().headers.get("X-CSRF-Token")).toBe("secret");
    expect(sent().headers.get("Content-Type")).toBe("application/json");
    expect(sent().headers.get("Idempotency-Key")).toBe("k");
    expect(sent().body).toBe('{"b":2}');
  });

  it("raises what the server refuses, with what its headers add", async () => {
    answers(
      429,
      { ok: false, error: { code: "RATE_LIMIT_EXCEEDED", message: "slower", detail: { field: "email" } } },
      { "Retry-After": "7", "X-Request-Id": "r-1" },
    );
    const error = await refused();
    expect(error).toMatchObject({ status: 429, code: "RATE_LIMIT_EXCEEDED", retryAfter: 7, requestId: "r-1", field: "email" });
    expect(error.message).toBe("slower");
  });

  it.each([
    ["no JSON", 502, "<html>"],
    ["a list", 200, []],
    ["null", 200, null],
    ["a success that says it is none", 200, { ok: false }],
    ["an error without a code", 500, { ok: false, error: { code: 3, message: 4, detail: [] } }],
  ])("does not take %s for an answer", async (_what, status, body) => {
    answers(status, body);
    const error = await refused();
    expect(error).toMatchObject({ status, code: "UNREADABLE", retryAfter: undefined, detail: undefined });
  });

  it("says so when no answer comes", async () => {
    fetched.mockRejectedValueOnce(new TypeError("offline"));
    await expect(refused()).resolves.toMatchObject({ status: 0, code: UNREACHABLE });
  });
});

describe("segment", () => {
  it.each([
    ["a/b?c#d", "a%2Fb%3Fc%23d"],
    ["..", "-"],
    [".", "-"],
    ["01a2-b3", "01a2-b3"],
  ])("keeps %s in its place", (value, quoted) => {
    expect(segment(value)).toBe(quoted);
  });
});

describe("cookie", () => {
  it.each([
    ["a=1; lime_csrf=x=y; b=2", "x=y"],
    ["xlime_csrf=1", undefined],
    ["lime_csrf", undefined],
    ["", undefined],
    ["lime_csrf=", ""],
  ])("in %j is %j", (jar, value) => {
    expect(cookie("lime_csrf", jar)).toBe(value);
  });
});
