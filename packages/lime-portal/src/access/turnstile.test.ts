import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

type Options = { sitekey: string; callback: (token: string) => void; "expired-callback": () => void };

const api = { render: vi.fn<(place: HTMLElement, options: Options) => string>(), reset: vi.fn(), remove: vi.fn() };

let added: HTMLScriptElement[];
let showTurnstile: typeof import("./turnstile").showTurnstile;

beforeEach(async () => {
  vi.resetAllMocks();
  api.render.mockReturnValue("w-1");
  vi.resetModules();
  ({ showTurnstile } = await import("./turnstile"));
  added = [];
  vi.spyOn(document.head, "append").mockImplementation((...nodes) => {
    added.push(...(nodes as HTMLScriptElement[]));
  });
});
afterEach(() => {
  delete window.turnstile;
});

/** The script that was asked for first. */
function script(): HTMLScriptElement {
  const [first] = added;
  if (first === undefined) {
    throw new Error("no script was asked for");
  }
  return first;
}

function arrive() {
  window.turnstile = api;
  script().onload?.(new Event("load"));
}

function options(): Options {
  const [shown] = api.render.mock.calls;
  if (shown === undefined) {
    throw new Error("nothing was shown");
  }
  return shown[1];
}

describe("showTurnstile", () => {
  it("gives each token once, and asks for another", async () => {
    const place = document.createElement("div");
    const showing = showTurnstile(place, "site-key");
    expect(new URL(script().src).origin).toBe("https://challenges.cloudflare.com");
    arrive();
    const turnstile = await showing;
    const given = options();
    expect(given.sitekey).toBe("site-key");
    expect(() => turnstile.take()).toThrow(/Complete the box/);
    given.callback("token-1");
    expect(turnstile.take()).toBe("token-1");
    expect(api.reset).toHaveBeenCalledWith("w-1");
    expect(() => turnstile.take()).toThrow(/Complete the box/);
  });

  it("forgets a token that has expired, and leaves when told to", async () => {
    const showing = showTurnstile(document.createElement("div"), "k");
    arrive();
    const turnstile = await showing;
    const given = options();
    given.callback("token-1");
    given["expired-callback"]();
    expect(() => turnstile.take()).toThrow(/Complete the box/);
    turnstile.remove();
    expect(api.remove).toHaveBeenCalledWith("w-1");
  });

  it("loads the script once for all, and again after it failed", async () => {
    const first = showTurnstile(document.createElement("div"), "k");
    const second = showTurnstile(document.createElement("div"), "k");
    expect(added).toHaveLength(1);
    script().onerror?.(new Event("error"));
    await expect(first).rejects.toThrow(/cannot be reached/);
    await expect(second).rejects.toThrow(/cannot be reached/);
    void showTurnstile(document.createElement("div"), "k").catch(() => undefined);
    expect(added).toHaveLength(2);
  });

  it("does not take another script for it", async () => {
    const showing = showTurnstile(document.createElement("div"), "k");
    script().onload?.(new Event("load"));
    await expect(showing).rejects.toThrow(/cannot be reached/);
  });
});
