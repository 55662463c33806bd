import { readFileSync } from "node:fs";

import { act, cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { SWRConfig } from "swr";
import { useState, type ReactNode } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { useApi, usePages } from "@/api/hooks";
import type { DeliveryState, EventOnItsWay, HeldToken, ListOf, LoginRecord, Site } from "@/api/types";
import { NOTHING_YET, type Watching } from "@/lib/watch";
import { Create } from "./create";
import { Danger } from "./danger";
import { DeliveryMonitor } from "./delivery";
import { Domain } from "./domain";
import { LoginHistory } from "./history";
import { AGENT, apiOf, pageOf, SITE } from "./kinds";
import { useOptimistic } from "./optimistic";
import { Profile } from "./profile";
import { RedirectUris } from "./redirects";
import { AGENT_CODE, settings } from "./snippets";
import { Tokens } from "./tokens";

const pushed = vi.hoisted(() => vi.fn());
vi.mock("next/navigation", () => ({ useRouter: () => ({ push: pushed }) }));

type Asked = { method: string; path: string; body: unknown; key: string | null };
type Answer = { status?: number; data?: unknown; error?: { code: string; message: string; detail?: unknown } };

let asked: Asked[] = [];
let answers: Record<string, Answer[]> = {};

/** The next answer to `method path`; the last one stays. */
function serve(request: string, ...given: Answer[]) {
  answers[request] = given;
}

beforeEach(() => {
  asked = [];
  answers = {};
  pushed.mockReset();
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    const method = init.method ?? "GET";
    const path = url.replace("/api/v1", "");
    const said: unknown = typeof init.body === "string" ? JSON.parse(init.body) : undefined;
    asked.push({ method, path, body: said, key: new Headers(init.headers).get("Idempotency-Key") });
    const queue = answers[`${method} ${path}`] ?? [];
    const { status = 200, data, error } = (queue.length > 1 ? queue.shift() : queue[0]) ?? { status: 404 };
    const body = error === undefined ? { ok: true, data } : { ok: false, error };
    return Promise.resolve(new Response(JSON.stringify(body), { status }));
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function show(content: ReactNode) {
  render(<SWRConfig value={{ provider: () => new Map(), dedupingInterval: 0 }}>{content}</SWRConfig>);
  return userEvent.setup();
}

function sent(method: string): Asked[] {
  return asked.filter((one) => one.method === method);
}

const button = (name: string | RegExp) => screen.findByRole("button", { name });

const site: Site = {
  site_id: "s1",
  display_name: "Shop",
  domain: null,
  domain_verified: false,
  redirect_uris: [],
  active: true,
  created_at: "2026-11-23T10:00:00Z",
  last_used_at: null,
};

// Making one

function NewSite() {
  const more = { field: "domain", label: "Domain", hint: "h", long: false };
  return <Create kind={SITE} button="New site" nameHint="n" more={more} next={<p>then install it</p>} />;
}

test("a new site's token is shown once, and leads to its page", async () => {
  serve("POST /foundation/sites/register", { status: 201, data: { ...site, site_token: "st_secret" } });
  const user = show(<NewSite />);
  await user.click(await button("New site"));
  await user.type(screen.getByLabelText("Name"), " Shop ");
  await user.click(await button("Make the site"));
  const dialog = await screen.findByRole("dialog", { name: "The token of your site" });
  expect(sent("POST")[0]?.body).toEqual({ display_name: "Shop" });
  expect(within(dialog).getByText("st_secret")).toBeDefined();
  expect(within(dialog).getByRole("region").textContent).toContain("LIME_SITE_TOKEN=st_secret");
  expect(within(dialog).getByText("then install it")).toBeDefined();
  expect(within(dialog).queryByRole("button", { name: "Close" })).toBeNull();
  await user.click(await button("I have kept it"));
  await vi.waitFor(() => {
    expect(pushed).toHaveBeenCalledWith("/sites/site/?id=s1");
  });
  expect(document.body.textContent).not.toContain("st_secret");
});

test("what the server finds wrong with a field is said at the field", async () => {
  serve("POST /foundation/sites/register", {
    status: 400,
    error: { code: "INVALID_REQUEST", message: "A domain is a host name.", detail: { field: "domain" } },
  });
  const user = show(<NewSite />);
  await user.click(await button("New site"));
  await user.type(screen.getByLabelText("Name"), "Shop");
  await user.type(screen.getByLabelText(/^Domain/), "nonsense");
  await user.click(await button("Make the site"));
  await screen.findByText("A domain is a host name.");
  expect(screen.getByLabelText(/^Domain/).getAttribute("aria-invalid")).toBe("true");
  expect(screen.queryByRole("alert")).toBeNull();
  expect(sent("POST")[0]?.body).toEqual({ display_name: "Shop", domain: "nonsense" });
});

test("a site whose answer was lost is asked for again by the same key, and another one by another", async () => {
  serve("POST /foundation/sites/register", { status: 502 });
  const user = show(<NewSite />);
  await user.click(await button("New site"));
  await user.type(screen.getByLabelText("Name"), "Shop");
  await user.click(await button("Make the site"));
  await screen.findByRole("alert");
  await user.click(await button("Make the site"));
  await user.type(screen.getByLabelText("Name"), "s");
  await user.click(await button("Make the site"));
  const [first, again, other] = sent("POST").map((one) => one.key);
  expect(first).toMatch(/^[0-9a-f]{32}$/);
  expect(again).toBe(first);
  expect(other).not.toBe(first);
});

// Tokens

function AgentTokens() {
  return <Tokens kind={AGENT} id="a1" tokens={useApi<ListOf<HeldToken>>("/core/agents/a1/tokens")} />;
}

const newest: HeldToken = { token_id: "t1", created_at: site.created_at, last_used_at: null, expires_at: null };

test("a rotation whose answer was lost is the same one when it is sent again, until it is begun anew", async () => {
  serve("GET /core/agents/a1/tokens", { data: { items: [newest], next_cursor: null } });
  serve("POST /core/agents/a1/tokens", { status: 502 });
  const user = show(<AgentTokens />);
  await user.click(await button("Rotate the token"));
  await user.click(await button("Make a new token"));
  await screen.findByRole("alert");
  await user.click(await button("Make a new token"));
  await user.click(await button("Keep it as it is"));
  await user.click(await button("Rotate the token"));
  await user.click(await button("Make a new token"));
  const [first, again, anew] = sent("POST").map((one) => one.key);
  expect(first).toMatch(/^[0-9a-f]{32}$/);
  expect(again).toBe(first);
  expect(anew).not.toBe(first);
});

test("a token is rotated with the overlap that was chosen, and the new one shown once", async () => {
  const old = { ...newest, expires_at: "2026-11-24T10:00:00Z" };
  serve(
    "GET /core/agents/a1/tokens",
    { data: { items: [newest], next_cursor: null } },
    { data: { items: [{ ...newest, token_id: "t2" }, old], next_cursor: null } },
  );
  serve("POST /core/agents/a1/tokens", { status: 201, data: { token_id: "t2", agent_token: "at_new" } });
  const user = show(<AgentTokens />);
  await screen.findByText("Newest");
  await user.click(await button("Rotate the token"));
  expect(screen.getByText(/Both tokens work for an hour/)).toBeDefined();
  await user.selectOptions(screen.getByLabelText("Overlap"), "None");
  expect(screen.getByText(/stops working at once/)).toBeDefined();
  await user.click(await button("Make a new token"));
  await screen.findByText("at_new");
  expect(sent("POST")[0]?.body).toEqual({ overlap_seconds: 0 });
  await user.click(await button("I have kept it"));
  expect(screen.queryByText("at_new")).toBeNull();
  expect(await screen.findByText("Being replaced")).toBeDefined();
});

test("one token too many is refused in the server's words", async () => {
  serve("GET /core/agents/a1/tokens", { data: { items: [newest], next_cursor: null } });
  const error = { code: "CONFLICT", message: "10 tokens work at once already: rotate without an overlap, or wait." };
  serve("POST /core/agents/a1/tokens", { status: 409, error });
  const user = show(<AgentTokens />);
  await user.click(await button("Rotate the token"));
  await user.click(await button("Make a new token"));
  expect((await screen.findByRole("alert")).textContent).toContain("10 tokens");
});

// Login history

const login: LoginRecord = {
  login_request_id: "l1",
  status: "DELIVERED",
  created_at: site.created_at,
  expires_at: site.created_at,
  decided_at: site.created_at,
  site: { site_id: "s1", display_name: "Shop", domain: "shop.example", domain_verified: true },
  agent: { agent_id: "a1", display_name: "Walker" },
};

function History({ kind }: { kind: typeof AGENT }) {
  return <LoginHistory kind={kind} pages={usePages<LoginRecord>("/logins")} />;
}

test("an agent's history says where, a site's says who", async () => {
  const gone = { ...login, login_request_id: "l2", agent: { agent_id: "a2", display_name: null } };
  const waiting = { ...login, login_request_id: "l3", status: "PENDING", agent: null };
  const denied = { ...login, login_request_id: "l4", status: "DENIED", agent: null };
  const plain = { ...login, login_request_id: "l5", site: { ...login.site, display_name: "Bare", domain: null } };
  serve("GET /logins", { data: { items: [login, gone, waiting, denied, plain], next_cursor: null } });
  show(<History kind={AGENT} />);
  expect((await screen.findAllByRole("listitem"))[0]?.textContent).toContain("Shop shop.example (proven)");
  expect(screen.getByText("Bare").textContent).toBe("Bare");
  cleanup();
  show(<History kind={SITE} />);
  const rows = (await screen.findAllByRole("listitem")).map((row) => row.textContent);
  expect(rows[0]).toContain("Logged inWalker");
  expect(rows[1]).toContain("An agent that was deleted");
  expect(rows[2]).toContain("Nobody yet");
  expect(rows[3]).toContain("RefusedNobody");
});

test("an empty history teaches what would be in it, and can be read again", async () => {
  serve("GET /logins", { data: { items: [], next_cursor: null } }, { data: { items: [login], next_cursor: null } });
  const user = show(<History kind={AGENT} />);
  await screen.findByText(/When this agent logs in/);
  await user.click(await button("Refresh"));
  await screen.findByText("Logged in");
});

test("a history that is polled shows a new login by itself", async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  serve("GET /logins", { data: { items: [], next_cursor: null } }, { data: { items: [login], next_cursor: null } });
  function Polled() {
    return <LoginHistory kind={SITE} pages={usePages<LoginRecord>("/logins", { every: 4000 })} />;
  }
  show(<Polled />);
  await screen.findByText(/When your site asks/);
  await act(() => vi.advanceTimersByTimeAsync(4000));
  await screen.findByText("Walker");
  vi.useRealTimers();
});

// The delivery monitor

const event: EventOnItsWay = {
  event_id: "e1",
  type: "approved",
  agent_id: "a1",
  created_at: site.created_at,
  deliver_until: site.created_at,
  leased_to: "worker-1",
  leased_until: null,
  acknowledged_at: null,
};
const busy: DeliveryState = {
  streams: [{ consumer: null, since: site.created_at }],
  undelivered: [event],
  delivered: [{ ...event, event_id: "e2", type: "expired", acknowledged_at: site.created_at }],
};
const idle: DeliveryState = { streams: [], undelivered: [], delivered: [] };

function monitor(watched: Watching<DeliveryState>, first = idle, awake = true) {
  return show(<DeliveryMonitor path="/sites/s1/delivery" watched={watched} first={first} awake={awake} />);
}

test("the monitor shows what was read first, and then what comes", () => {
  monitor(NOTHING_YET, busy);
  expect(screen.getByText(/sees every event/).textContent).toContain("A stream");
  expect(screen.getByText(/last given to worker-1/)).toBeDefined();
  cleanup();
  monitor({ connection: "live", data: idle, error: undefined }, busy);
  expect(screen.getByText("Nothing waits.")).toBeDefined();
});

test.each([
  [NOTHING_YET, true, "Connecting"],
  [{ connection: "live", data: idle, error: undefined }, true, "Live"],
  // Once a minute it reconnects, which nobody needs to hear of.
  [{ connection: "connecting", data: idle, error: undefined }, true, "Live"],
  [{ connection: "waiting", data: idle, error: undefined }, true, "Connection lost, trying again"],
  [{ connection: "refused", data: idle, error: undefined }, true, "Stopped"],
  [{ connection: "live", data: idle, error: undefined }, false, "Paused"],
] as const)("the state of its connection is said in words (%#)", (watched, awake, words) => {
  monitor(watched, idle, awake);
  expect(screen.getAllByRole("status")[0]?.textContent).toBe(words);
});

test("an event can be sent again, delivered or not", async () => {
  serve("POST /sites/s1/delivery/e1/redeliver", { status: 202, data: {} });
  serve("POST /sites/s1/delivery/e2/redeliver", {
    status: 404,
    error: { code: "NOT_FOUND", message: "There is no such event, or it can no longer be sent." },
  });
  const user = monitor({ connection: "live", data: busy, error: undefined });
  await user.click(await button("Send again e1"));
  await screen.findByText("It is sent again.");
  await user.click(await button("Send again e2"));
  await screen.findByRole("alert");
});

test("a test event says how many hear it", async () => {
  serve("POST /sites/s1/delivery/test", { status: 202, data: {} });
  let user = monitor({ connection: "live", data: busy, error: undefined });
  await user.click(await button("Send a test event"));
  await screen.findByText("A test event is on its way to one stream.");
  cleanup();
  user = monitor({ connection: "live", data: idle, error: undefined });
  await user.click(await button("Send a test event"));
  await screen.findByText(/Nobody listens/);
});

// What only sites have

function Fresh({ start, children }: { start: Site; children: (site: Site, mutate: never) => ReactNode }) {
  const { data, mutate } = useApi<Site>("/site");
  return children(data ?? start, mutate as never);
}

test("redirect URIs are added and removed, and nonsense never leaves the page", async () => {
  const uri = "https://shop.example/back";
  serve("GET /site", { data: site });
  serve(
    "PUT /foundation/sites/s1/redirect-uris",
    { data: { ...site, redirect_uris: [uri] } },
    { data: site },
  );
  const user = show(<Fresh start={site}>{(one, mutate) => <RedirectUris site={one} mutate={mutate} />}</Fresh>);
  await user.type(screen.getByLabelText(/Another redirect URI/), "http://shop.example/back");
  await user.click(await button("Add it"));
  await screen.findByText(/^Use https\./);
  expect(sent("PUT")).toEqual([]);
  await user.clear(screen.getByLabelText(/Another redirect URI/));
  await user.type(screen.getByLabelText(/Another redirect URI/), uri);
  await user.click(await button("Add it"));
  await screen.findByText("Added.");
  await user.click(await button(`Remove ${uri}`));
  await screen.findByText("Removed.");
  expect(sent("PUT").map((one) => one.body)).toEqual([{ redirect_uris: [uri] }, { redirect_uris: [] }]);
  expect(document.activeElement).toBe(screen.getByLabelText(/Another redirect URI/));
});

test("a domain is claimed, checked in vain, and then proven", async () => {
  const claimed = { ...site, domain: "shop.example" };
  const proof = { name: "_lime.shop.example", value: "lime-site-verification=x" };
  const file = { url: "https://shop.example/.well-known/lime-site", content: "lime-site-verification=x" };
  serve("GET /site", { data: site }, { data: claimed }, { data: claimed }, { data: { ...claimed, domain_verified: true } });
  serve("POST /foundation/sites/s1/domain", { data: { domain: "shop.example", dns: proof, file } });
  serve(
    "POST /foundation/sites/s1/domain/check",
    { data: { domain_verified: false, problem: "No TXT record is the expected value." } },
    { data: { domain_verified: true, problem: null } },
  );
  const user = show(<Fresh start={site}>{(one, mutate) => <Domain site={one} mutate={mutate} />}</Fresh>);
  await user.type(screen.getByLabelText(/Domain of the site/), "shop.example");
  await user.click(await button("Use this domain"));
  expect(await screen.findByText("Not proven")).toBeDefined();
  await screen.findByText(proof.name);
  await screen.findByText(file.url);
  await user.click(await button("Check the DNS record"));
  await screen.findByText("No TXT record is the expected value.");
  await user.click(await button("Check the file"));
  await screen.findByText("Proven");
  expect(sent("POST").slice(1).map((one) => one.body)).toEqual([{ method: "dns" }, { method: "file" }]);
  expect(screen.queryByText(proof.name)).toBeNull();
});

test("another domain asks first, and can be thought better of", async () => {
  const proven = { ...site, domain: "shop.example", domain_verified: true };
  serve("GET /site", { data: proven });
  const user = show(<Fresh start={proven}>{(one, mutate) => <Domain site={one} mutate={mutate} />}</Fresh>);
  await user.click(await button("Change the domain"));
  expect(screen.getByLabelText<HTMLInputElement>(/Domain of the site/).value).toBe("shop.example");
  await user.click(await button("Cancel"));
  expect(screen.getByText("Proven")).toBeDefined();
  expect(sent("POST")).toEqual([]);
});

// Profile, switch, end

test("only what was typed is saved", async () => {
  const agent = { display_name: "Walker", description: "Walks.", avatar_url: null };
  serve("GET /site", { data: agent });
  serve("PATCH /core/agents/a1", { data: { ...agent, display_name: "Runner" } });
  function Shown() {
    const { data, mutate } = useApi<typeof agent>("/site");
    return <Profile kind={AGENT} id="a1" thing={data ?? agent} mutate={mutate} />;
  }
  const user = show(<Shown />);
  expect((await button("Save")).hasAttribute("disabled")).toBe(true);
  await user.clear(screen.getByLabelText("Name"));
  await user.type(screen.getByLabelText("Name"), "Runner");
  await user.click(await button("Save"));
  await screen.findByText("Saved.");
  expect(sent("PATCH")[0]?.body).toEqual({ display_name: "Runner" });
  await user.type(screen.getByLabelText(/Description/), "x");
  expect(screen.queryByText("Saved.")).toBeNull();
});

test("a switch shows at once what it will be, and goes back when the server refuses", async () => {
  serve("GET /site", { data: site });
  let refuse: (error: Error) => void = () => undefined;
  function Shown() {
    const { data, mutate } = useApi<Site>("/site");
    const change = useOptimistic<Site>(mutate);
    const wait = () => new Promise<Site>((_, reject) => { refuse = reject; });
    return (
      <>
        <p>{data === undefined ? "…" : data.active ? "on" : "off"}</p>
        <button onClick={() => void change.run({ ...site, active: false }, wait)}>switch</button>
        {change.error === undefined ? null : <p>refused</p>}
      </>
    );
  }
  const user = show(<Shown />);
  await screen.findByText("on");
  await user.click(screen.getByText("switch"));
  await screen.findByText("off");
  act(() => {
    refuse(new Error("no"));
  });
  await screen.findByText("refused");
  await screen.findByText("on");
});

test("a deletion is asked about, and leads back to the list", async () => {
  serve("DELETE /core/agents/a1", { data: {} });
  const user = show(<Danger kind={AGENT} id="a1" name="Walker" />);
  await user.click(await button("Delete the agent"));
  expect(sent("DELETE")).toEqual([]);
  expect(screen.getByRole("dialog", { name: "Delete Walker?" }).textContent).toContain("never given to another one");
  await user.click(await button("Delete it for good"));
  await vi.waitFor(() => {
    expect(pushed).toHaveBeenCalledWith("/agents/");
  });
});

test("the list is read anew after a deletion, however soon that was", async () => {
  function Names() {
    const { items } = usePages<{ name: string }>(AGENT.api);
    return <p>{items === undefined ? "Loading" : `${items.length.toString()} left`}</p>;
  }
  function Switched() {
    const [listed, setListed] = useState(true);
    pushed.mockImplementation(() => {
      setListed(true);
    });
    return listed ? (
      <>
        <Names />
        <button
          onClick={() => {
            setListed(false);
          }}
        >
          look at Walker
        </button>
      </>
    ) : (
      <Danger kind={AGENT} id="a1" name="Walker" />
    );
  }
  serve("GET /core/agents", { data: { items: [{ name: "Walker" }], next_cursor: null } }, { data: { items: [], next_cursor: null } });
  serve("DELETE /core/agents/a1", { data: {} });
  // As in a browser: what was asked within two seconds is not asked again.
  render(
    <SWRConfig value={{ provider: () => new Map() }}>
      <Switched />
    </SWRConfig>,
  );
  await screen.findByText("1 left");
  const user = userEvent.setup();
  await user.click(await button("look at Walker"));
  await user.click(await button("Delete the agent"));
  await user.click(await button("Delete it for good"));
  await screen.findByText("0 left");
});

// Addresses and code

test("an id from the address bar stays one part of a path", () => {
  expect(apiOf(AGENT, "../../foundation/users/me")).toBe("/core/agents/..%2F..%2Ffoundation%2Fusers%2Fme");
  expect(apiOf(SITE, "..")).toBe("/foundation/sites/-");
  expect(pageOf(SITE, "a&b=c")).toBe("/sites/site/?id=a%26b%3Dc");
});

test("the agent's program is the one of the README, which the tests run", () => {
  expect(readFileSync("../../README.md", "utf8")).toContain(AGENT_CODE);
  expect(settings("LIME_AGENT_TOKEN", "http://127.0.0.1:8000/api/v1", "at_x")).toBe(
    "export LIME_API_BASE=http://127.0.0.1:8000/api/v1\nexport LIME_AGENT_TOKEN=at_x",
  );
});
