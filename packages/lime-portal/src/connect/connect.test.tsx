import { cleanup, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { SWRConfig } from "swr";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Agent, BindingQuestion, Me } from "@/api/types";
import { SignedIn } from "@/session/session";
import { Answering } from "./answering";

const ID = "0198a000-0000-7000-8000-00000000000b";
const REQUEST = `/modules/bindings/requests/${ID}`;
const BACK = "https://shop.example/back?binding_code=bc_1&state=s";
const ME: Me = {
  user_id: "u", email: "ada@example.com", kyc_level: 0, operator: false, suspended: false,
  second_factor: { totp: false, recovery_codes_left: 0, passkeys: [] },
};
const QUESTION: BindingQuestion = {
  binding_id: ID,
  site: { site_id: "s", display_name: "Corner Shop", domain: "shop.example", domain_verified: true },
  redirect_host: "shop.example",
  expires_at: "2999-01-01T00:00:00Z",
  learns: [{ claim: "sub", meaning: "The id of the agent that you pick." }],
};

function agent(name: string, changes: Partial<Agent> = {}): Agent {
  return {
    agent_id: `id-${name}`, display_name: name, description: null, avatar_url: null, active: true, suspended: false,
    capabilities: [], created_at: "2026-11-23T10:00:00Z", last_used_at: null, ...changes,
  };
}

type Answer = { status?: number; data?: unknown; code?: string };
type Asked = { at: string; body: unknown; key: string | null };
let answers: Record<string, Answer>;
let asked: Asked[];
const assign = vi.fn();

beforeEach(() => {
  asked = [];
  answers = {
    "GET /foundation/users/me": { data: ME },
    [`GET ${REQUEST}`]: { data: QUESTION },
    "GET /core/agents?limit=100": { data: { items: [agent("Courier"), agent("Clerk")], next_cursor: null } },
    [`POST ${REQUEST}/approve`]: { data: { redirect_to: BACK } },
    [`POST ${REQUEST}/refuse`]: { data: { redirect_to: "https://shop.example/back?error=access_denied" } },
  };
  assign.mockReset();
  vi.spyOn(window.location, "assign").mockImplementation(assign);
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    const at = `${init.method ?? "GET"} ${url.replace("/api/v1", "")}`;
    const body: unknown = typeof init.body === "string" ? JSON.parse(init.body) : undefined;
    asked.push({ at, body, key: new Headers(init.headers).get("Idempotency-Key") });
    const { status = 200, data, code } = answers[at] ?? { status: 404, code: "NOT_FOUND" };
    const answer = code === undefined ? { ok: true, data } : { ok: false, error: { code, message: "As it is." } };
    return Promise.resolve(new Response(JSON.stringify(answer), { status }));
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function show(id = ID) {
  render(
    <SWRConfig value={{ provider: () => new Map(), dedupingInterval: 0, shouldRetryOnError: false }}>
      <SignedIn>
        <Answering id={id} />
      </SignedIn>
    </SWRConfig>,
  );
  return userEvent.setup();
}

function sent(at: string): Asked[] {
  return asked.filter((one) => one.at === at);
}

describe("what is asked", () => {
  it("names the site, where the browser goes and what will be learned", async () => {
    show();
    await screen.findByText("Corner Shop");
    expect(screen.getByText("shop.example, verified")).toBeTruthy();
    expect(screen.getByText("The id of the agent that you pick.")).toBeTruthy();
    expect(screen.queryByText(/Nobody has proven/u)).toBeNull();
  });

  it.each([
    [{ domain: "shop.example", domain_verified: false }, "shop.example, not verified", /Nobody has proven who this/u],
    [{ domain: null, domain_verified: false }, "no domain", /Nobody has proven who this/u],
    [{ domain: "bank.example", domain_verified: true }, "bank.example, verified", /not part of bank\.example/u],
  ])("warns of %j", async (changes, badge, warning) => {
    answers[`GET ${REQUEST}`] = { data: { ...QUESTION, site: { ...QUESTION.site, ...changes } } };
    show();
    await screen.findByText(badge);
    expect(screen.getByText(warning)).toBeTruthy();
  });

  it.each(["", ID])("explains a request that cannot be answered (%j)", async (id) => {
    answers[`GET ${REQUEST}`] = { status: 404, code: "BINDING_NOT_FOUND" };
    show(id);
    await screen.findByText(/was answered, has expired, or never was/u);
    expect(screen.queryByRole("button", { name: "Allow" })).toBeNull();
  });

  it("asks the server once whether the time is up when this machine thinks so", async () => {
    answers[`GET ${REQUEST}`] = { data: { ...QUESTION, expires_at: "2001-01-01T00:00:00Z" } };
    show();
    await screen.findByText("about to run out");
    await waitFor(() => {
      expect(sent(`GET ${REQUEST}`)).toHaveLength(2);
    });
    // The clock here was wrong: the server still waits for an answer.
    expect(screen.getByRole("button", { name: "Allow" })).toBeTruthy();
  });
});

describe("allowing", () => {
  it("needs an agent, and then goes back to the site", async () => {
    const user = show();
    await user.click(await screen.findByRole("button", { name: "Allow" }));
    expect(screen.getByRole("alert").textContent).toBe("Pick an agent first.");
    expect(document.activeElement).toBe(screen.getByRole("radio", { name: "Courier" }));
    await user.click(screen.getByRole("radio", { name: "Clerk" }));
    await user.dblClick(screen.getByRole("button", { name: "Allow" }));
    await screen.findByText("Answered. Going back to shop.example.");
    expect(assign).toHaveBeenCalledExactlyOnceWith(BACK);
    expect(sent(`POST ${REQUEST}/approve`).map(({ body }) => body)).toEqual([{ agent_id: "id-Clerk" }]);
  });

  it("sends the same key for the same agent, and another for another", async () => {
    const approve = `POST ${REQUEST}/approve`;
    answers[approve] = { status: 403, code: "AGENT_INACTIVE" };
    const user = show();
    for (const name of ["Courier", "Courier", "Clerk"]) {
      await user.click(await screen.findByRole("radio", { name }));
      await user.click(screen.getByRole("button", { name: "Allow" }));
      await screen.findByText("As it is.");
    }
    const [first, again, other] = sent(approve).map(({ key }) => key);
    expect(first).toMatch(/^[0-9a-f]{32}\.id-Courier$/u);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
    expect(assign).not.toHaveBeenCalled();
  });

  it("runs nothing that an address could hold", async () => {
    answers[`POST ${REQUEST}/approve`] = { data: { redirect_to: "javascript:alert(1)" } };
    const user = show();
    await user.click(await screen.findByRole("radio", { name: "Courier" }));
    await user.click(screen.getByRole("button", { name: "Allow" }));
    await screen.findByText(/Something went wrong on this page/u);
    expect(assign).not.toHaveBeenCalled();
  });
});

it("refuses without an agent", async () => {
  const user = show();
  await user.click(await screen.findByRole("button", { name: "Refuse" }));
  await screen.findByText(/Going back/u);
  expect(assign).toHaveBeenCalledExactlyOnceWith("https://shop.example/back?error=access_denied");
  expect(sent(`POST ${REQUEST}/approve`)).toEqual([]);
});

describe("which agents", () => {
  const list = "GET /core/agents?limit=100";

  it("offers only those that may act", async () => {
    const items = [agent("Courier"), agent("Off", { active: false }), agent("Held", { suspended: true })];
    answers[list] = { data: { items, next_cursor: null } };
    show();
    await screen.findByRole("radio", { name: "Courier" });
    expect(screen.getAllByRole("radio")).toHaveLength(1);
    expect(screen.getByText(/are not offered/u)).toBeTruthy();
  });

  it("makes one without losing the request", async () => {
    answers[list] = { data: { items: [], next_cursor: null } };
    answers["POST /core/agents/register"] = { status: 201, data: { ...agent("New"), agent_token: "at_secret" } };
    const user = show();
    await screen.findByText(/You have no agent yet/u);
    await user.click(screen.getByRole("button", { name: "Make the agent" }));
    await screen.findByText("Give it a name.");
    expect(sent("POST /core/agents/register")).toEqual([]);
    await user.type(screen.getByRole("textbox", { name: "Name of the new agent" }), "New");
    answers[list] = { data: { items: [agent("New")], next_cursor: null } };
    await user.click(screen.getByRole("button", { name: "Make the agent" }));
    await screen.findByText("at_secret");
    await user.click(screen.getByRole("button", { name: "I have kept it" }));
    expect(screen.queryByText("at_secret")).toBeNull();
    expect(screen.getByRole<HTMLInputElement>("radio", { name: "New" }).checked).toBe(true);
  });

  it("says when all are switched off", async () => {
    answers[list] = { data: { items: [agent("Off", { active: false })], next_cursor: null } };
    show();
    await screen.findByText(/Your agents are switched off or suspended/u);
  });
});

it("lets somebody else sign in, and comes back", async () => {
  answers["POST /foundation/users/logout"] = { data: {} };
  const user = show();
  await user.click(await screen.findByRole("button", { name: "Use another account" }));
  await waitFor(() => {
    expect(assign).toHaveBeenCalledOnce();
  });
  expect(assign.mock.calls[0]?.[0]).toMatch(/^\/login\//u);
});
