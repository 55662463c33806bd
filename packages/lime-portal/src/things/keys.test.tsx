import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { SWRConfig } from "swr";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { useApi } from "@/api/hooks";
import type { AgentKeys, Jwk } from "@/api/types";
import { PublicKeys } from "./keys";

const LAPTOP = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", kid: "laptop" };
const SERVER = { kty: "EC", crv: "P-256", x: "a", y: "b" };
let kept: Jwk[];
let asked: string[];
let refusal: unknown;

beforeEach(() => {
  kept = [LAPTOP];
  asked = [];
  refusal = undefined;
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    if (init.method === "PUT") {
      asked.push(`${url} ${init.body as string}`);
      if (refusal !== undefined) {
        return Promise.resolve(new Response(JSON.stringify({ ok: false, error: refusal }), { status: 400 }));
      }
      const { keys } = JSON.parse(init.body as string) as AgentKeys;
      kept = keys.map((key) => ({ kid: "thumbprint", ...key }));
    }
    return Promise.resolve(new Response(JSON.stringify({ ok: true, data: { keys: kept } })));
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function Shown() {
  return <PublicKeys id="a/1" keys={useApi<AgentKeys>("/core/agents/a%2F1/keys")} />;
}

async function show() {
  render(
    <SWRConfig value={{ provider: () => new Map(), dedupingInterval: 0, revalidateOnFocus: false }}>
      <Shown />
    </SWRConfig>,
  );
  await screen.findByLabelText("Public key");
  return userEvent.setup();
}

async function add(user: Awaited<ReturnType<typeof show>>, text: string) {
  await user.click(screen.getByLabelText("Public key"));
  await user.paste(text);
  await user.click(screen.getByRole("button", { name: "Add the key" }));
}

it("adds a key to those that are there, as the server keeps it", async () => {
  const user = await show();
  expect(screen.getByText("Ed25519")).toBeTruthy();
  await add(user, JSON.stringify(SERVER));
  await screen.findByText("Added.");
  expect(screen.getByText("thumbprint")).toBeTruthy();
  expect(screen.getByText("P-256")).toBeTruthy();
  expect(asked).toEqual([`/api/v1/core/agents/a%2F1/keys ${JSON.stringify({ keys: [LAPTOP, SERVER] })}`]);
  expect(screen.getByLabelText<HTMLTextAreaElement>("Public key").value).toBe("");
});

it("never sends a private key", async () => {
  const user = await show();
  await add(user, JSON.stringify({ ...LAPTOP, d: "secret" }));
  expect(screen.getByText(/^This is a private key\. It was not sent anywhere/u)).toBeTruthy();
  expect(asked).toEqual([]);
});

it("says at the field what the server finds wrong with a key", async () => {
  refusal = { code: "INVALID_REQUEST", message: "A key cannot be used: too short.", detail: { field: "keys" } };
  const user = await show();
  await add(user, JSON.stringify(SERVER));
  await screen.findByText("A key cannot be used: too short.");
  expect(screen.getByLabelText("Public key").getAttribute("aria-invalid")).toBe("true");
  expect(screen.queryByRole("alert")).toBeNull();
});

it("removes one after a question", async () => {
  const user = await show();
  await user.click(screen.getByRole("button", { name: "Remove the key laptop" }));
  expect(asked).toEqual([]);
  await user.click(screen.getByRole("button", { name: "Remove it" }));
  await screen.findByText("None yet. The agent proves itself with its token.");
  expect(asked).toEqual(['/api/v1/core/agents/a%2F1/keys {"keys":[]}']);
});
