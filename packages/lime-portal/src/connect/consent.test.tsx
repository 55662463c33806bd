import { cleanup, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { SWRConfig } from "swr";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import Grants from "@/app/(owner)/grants/page";
import type { Agent, ConsentQuestion, Grant, Me } from "@/api/types";
import { SignedIn } from "@/session/session";
import { Consenting } from "./consenting";

const QUERY = "?client_id=c&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcb&state=a+b&scope=";
const ASK = `GET /modules/oauth/consent${QUERY}`;
const ALLOW = "POST /modules/oauth/consent";
const REFUSE = "POST /modules/oauth/consent/refuse";
const AGENTS = "GET /core/agents?limit=100";
const REQUEST = { client_id: "c", redirect_uri: "http://127.0.0.1:9/cb", state: "a b" };
const BACK = "http://127.0.0.1:9/cb?code=ac_1&state=a+b";
const ME: Me = {
  user_id: "u", email: "ada@example.com", kyc_level: 0, operator: false, suspended: false,
  second_factor: { totp: false, recovery_codes_left: 0, passkeys: [] },
};
const QUESTION: ConsentQuestion = {
  client: { client_id: "c", name: "Editor", kind: "registered", host: null, document_url: null },
  redirect_host: "127.0.0.1:9", loopback: true,
  resource: "https://tools.example/mcp", resource_host: "tools.example",
  scopes: [{ scope: "mcp", meaning: "Use the tools." }],
  remembered_agent_id: null, expires_in: 7_776_000,
};

function agent(name: string, changes: Partial<Agent> = {}): Agent {
  return {
    agent_id: `id-${name}`, display_name: name, description: null, avatar_url: null, active: true, suspended: false,
    capabilities: ["oauth:mcp"], created_at: "2026-11-23T10:00:00Z", last_used_at: null, ...changes,
  };
}

type Answer = { status?: number; data?: unknown; code?: string };
type Asked = { at: string; body: unknown; key: string | null };
let answers: Record<string, Answer | Answer[]>;
let asked: Asked[];
const assign = vi.fn();

function agents(...items: Agent[]): Answer {
  return { data: { items, next_cursor: null } };
}

beforeEach(() => {
  asked = [];
  answers = {
    "GET /foundation/users/me": { data: ME },
    [ASK]: { data: QUESTION },
    [AGENTS]: agents(agent("Courier"), agent("Clerk")),
    [ALLOW]: { data: { redirect_to: BACK } },
    [REFUSE]: { data: { redirect_to: "http://127.0.0.1:9/cb?error=access_denied" } },
  };
  assign.mockReset();
  vi.spyOn(window.location, "assign").mockImplementation(assign);
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    const at = `${init.method ?? "GET"} ${url.replace("/api/v1", "")}`;
    const body: unknown = typeof init.body === "string" ? JSON.parse(init.body) : undefined;
    asked.push({ at, body, key: new Headers(init.headers).get("Idempotency-Key") });
    const given = answers[at] ?? { status: 404, code: "NOT_FOUND" };
    const { status = 200, data, code } = (Array.isArray(given) ? (given.length > 1 ? given.shift() : given[0]) : given) ?? {};
    const answer = code === undefined ? { ok: true, data } : { ok: false, error: { code, message: "As it is." } };
    return Promise.resolve(new Response(JSON.stringify(answer), { status }));
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const CONFIG = { provider: () => new Map(), dedupingInterval: 0, shouldRetryOnError: false, revalidateOnFocus: false };

function show(query = QUERY) {
  render(
    <SWRConfig value={CONFIG}>
      <SignedIn>
        <Consenting query={query} />
      </SignedIn>
    </SWRConfig>,
  );
  return userEvent.setup();
}

function sent(at: string): Asked[] {
  return asked.filter((one) => one.at === at);
}

function ask(changes: Partial<ConsentQuestion>) {
  answers[ASK] = { data: { ...QUESTION, ...changes } };
}

const button = (name: string) => screen.findByRole("button", { name });

describe("what is asked", () => {
  it("says who asks, for what, and where the answer goes", async () => {
    show();
    await screen.findByText("Editor");
    expect(screen.getByText("name proven by nobody")).toBeTruthy();
    expect(screen.getByText(/^Nobody has proven who this program is/u)).toBeTruthy();
    expect(screen.getByText("https://tools.example/mcp")).toBeTruthy();
    expect(screen.getByText("a program on your computer (127.0.0.1:9)")).toBeTruthy();
    expect(screen.getByText("at most 90 days, then it has to ask again")).toBeTruthy();
    expect(screen.getByRole("listitem").textContent).toBe("Use the tools. mcp");
    expect(screen.queryByText(/does not say for which server/u)).toBeNull();
  });

  it("warns of a program that does not say for which server", async () => {
    ask({ resource: null, resource_host: null });
    show();
    await screen.findByText(/^It does not say for which server/u);
    expect(screen.getByText("any")).toBeTruthy();
  });

  it("shows whose document describes a program, and does not warn of it", async () => {
    const document_url = "https://editor.example/client.json";
    const client = { client_id: document_url, name: "Editor", kind: "document", host: "editor.example", document_url } as const;
    ask({ client, redirect_host: "editor.example", loopback: false });
    show();
    await screen.findByText("described by editor.example");
    expect(screen.getByText(document_url)).toBeTruthy();
    expect(screen.queryByText(/Allow this only/u)).toBeNull();
  });

  it.each([
    ["", { data: QUESTION }, "It is empty."],
    [QUERY, { status: 400, code: "INVALID_REQUEST" }, "As it is."],
  ])("explains a request that cannot be used (%j)", async (query, answer, text) => {
    answers[ASK] = answer;
    show(query);
    expect((await screen.findByRole("alert")).textContent).toBe(`This request for access cannot be used.${text}`);
    expect(screen.queryByRole("button", { name: "Allow" })).toBeNull();
  });

  it("can ask again when the server did not answer", async () => {
    answers[ASK] = [{ status: 503, code: "UNAVAILABLE" }, { data: QUESTION }];
    const user = show();
    await user.click(await button("Try again"));
    await screen.findByText("Editor");
  });
});

describe("allowing", () => {
  it("needs an agent, sends the request back as it came, and only once", async () => {
    const user = show();
    await user.click(await button("Allow"));
    expect(screen.getByRole("alert").textContent).toBe("Pick an agent first.");
    await user.click(screen.getByRole("radio", { name: "Clerk" }));
    await user.dblClick(screen.getByRole("button", { name: "Allow" }));
    await screen.findByText("Answered. Going back to a program on your computer (127.0.0.1:9).");
    expect(assign).toHaveBeenCalledExactlyOnceWith(BACK);
    expect(sent(ALLOW).map(({ body }) => body)).toEqual([{ request: REQUEST, agent_id: "id-Clerk" }]);
    expect(sent(ALLOW)[0]?.key).toMatch(/^[0-9a-f]{32}\.id-Clerk$/u);
  });

  it("proposes the agent of last time, and does not allow by itself", async () => {
    ask({ remembered_agent_id: "id-Clerk" });
    const user = show();
    expect((await screen.findByText(/^Acts as/u)).textContent).toBe("Acts as Clerk, as you allowed before.");
    expect(screen.queryByRole("radio")).toBeNull();
    expect(sent(ALLOW)).toEqual([]);
    await user.click(screen.getByRole("button", { name: "Pick another agent" }));
    expect(screen.getByRole<HTMLInputElement>("radio", { name: "Clerk" }).checked).toBe(true);
    await user.click(screen.getByRole("radio", { name: "Courier" }));
    await user.click(screen.getByRole("button", { name: "Allow" }));
    await screen.findByText(/^Answered/u);
    expect(sent(ALLOW).map(({ body }) => body)).toEqual([{ request: REQUEST, agent_id: "id-Courier" }]);
  });

  it.each([{ active: false }, { suspended: true }, { capabilities: [] }])(
    "never picks an agent of last time that is not shown (%j)",
    async (changes) => {
      ask({ remembered_agent_id: "id-Clerk" });
      answers[AGENTS] = agents(agent("Courier"), agent("Clerk", changes));
      const user = show();
      await user.click(await button("Allow"));
      expect(screen.getByRole("alert").textContent).toBe("Pick an agent first.");
      expect(sent(ALLOW)).toEqual([]);
    },
  );

  it("lets an agent open MCP servers on the spot, and picks it", async () => {
    const unlet = agent("Clerk", { capabilities: ["other"] });
    answers[AGENTS] = [agents(unlet), agents({ ...unlet, capabilities: ["other", "oauth:mcp"] })];
    answers["PUT /core/agents/id-Clerk/capabilities"] = { data: unlet };
    const user = show();
    await screen.findByText(/^None of your agents may open MCP servers yet/u);
    await user.click(screen.getByRole("button", { name: "Allow" }));
    expect(screen.getByRole("alert").textContent).toBe("Let an agent open MCP servers first.");
    const toggle = screen.getByRole("switch", { name: "Let Clerk open MCP servers" });
    expect(document.activeElement).toBe(toggle);
    await user.click(toggle);
    const radio = await screen.findByRole<HTMLInputElement>("radio", { name: "Clerk" });
    await waitFor(() => {
      expect(document.activeElement).toBe(radio);
    });
    expect(radio.checked).toBe(true);
    expect(screen.queryByRole("switch")).toBeNull();
    expect(sent("PUT /core/agents/id-Clerk/capabilities")[0]?.body).toEqual({ capabilities: ["other", "oauth:mcp"] });
  });

  it("shows the token of an agent that was made here, also when it could not be let", async () => {
    const made = agent("New", { capabilities: [] });
    answers[AGENTS] = [agents(), agents(made)];
    answers["POST /core/agents/register"] = { status: 201, data: { ...made, agent_token: "at_new" } };
    answers["PUT /core/agents/id-New/capabilities"] = { status: 409, code: "ODD" };
    const user = show();
    await user.type(await screen.findByLabelText("Name of the new agent"), "New");
    await user.click(screen.getByRole("button", { name: "Make the agent" }));
    expect(within(await screen.findByRole("dialog", { name: "The token of New" })).getByText("at_new")).toBeTruthy();
    await user.click(await button("I have kept it"));
    expect((await screen.findByRole("alert")).textContent).toBe("As it is.");
    expect(screen.getByRole("switch", { name: "Let New open MCP servers" })).toBeTruthy();
    expect(sent("POST /core/agents/register")).toHaveLength(1);
  });

  it("says why it was refused, and stays", async () => {
    answers[ALLOW] = { status: 403, code: "AGENT_INACTIVE" };
    const user = show();
    await user.click(await screen.findByRole("radio", { name: "Clerk" }));
    await user.click(screen.getByRole("button", { name: "Allow" }));
    expect((await screen.findByRole("alert")).textContent).toBe("As it is.");
    expect(assign).not.toHaveBeenCalled();
  });

  it("runs nothing that an address could hold", async () => {
    answers[ALLOW] = { data: { redirect_to: "javascript:alert(1)" } };
    const user = show();
    await user.click(await screen.findByRole("radio", { name: "Clerk" }));
    await user.click(screen.getByRole("button", { name: "Allow" }));
    await screen.findByRole("alert");
    expect(assign).not.toHaveBeenCalled();
    expect(screen.queryByText(/^Answered/u)).toBeNull();
  });
});

it("refuses without an agent", async () => {
  const user = show();
  await user.click(await button("Refuse"));
  await screen.findByText(/^Answered/u);
  expect(sent(REFUSE).map(({ body }) => body)).toEqual([{ request: REQUEST }]);
  expect(assign).toHaveBeenCalledExactlyOnceWith("http://127.0.0.1:9/cb?error=access_denied");
});

describe("what was allowed", () => {
  const GRANT: Grant = {
    grant_id: "g/1",
    client: { client_id: "c", name: "Editor", kind: "registered", host: null },
    agent: { agent_id: "id-Clerk", display_name: "Clerk" },
    redirect_host: "127.0.0.1", resource: "https://tools.example/mcp", scopes: ["mcp"],
    created_at: "2026-11-23T10:00:00Z", last_used_at: null,
  };
  const LIST = "GET /modules/oauth/grants";

  function list(...answer: Grant[][]) {
    answers[LIST] = answer.map((items) => ({ data: { items, next_cursor: null } }));
    render(
      <SWRConfig value={CONFIG}>
        <Grants />
      </SWRConfig>,
    );
    return userEvent.setup();
  }

  it("is taken back after a question", async () => {
    answers["DELETE /modules/oauth/grants/g%2F1"] = { data: {} };
    const user = list([GRANT], []);
    await user.click(await button("Take back the access of Editor as Clerk"));
    expect(sent("DELETE /modules/oauth/grants/g%2F1")).toEqual([]);
    await user.click(screen.getByRole("button", { name: "Take it back" }));
    await screen.findByText("Editor no longer acts as Clerk.");
    expect(screen.getByText("No program acts as one of your agents")).toBeTruthy();
    expect(sent("DELETE /modules/oauth/grants/g%2F1")).toHaveLength(1);
  });

  it("names agents that are gone and servers that were not said", async () => {
    list([{ ...GRANT, agent: { agent_id: "x", display_name: null }, resource: null }]);
    await screen.findByRole("heading", { name: "Editor as an agent that was deleted" });
    expect(screen.getByText("any that it chooses")).toBeTruthy();
  });
});
