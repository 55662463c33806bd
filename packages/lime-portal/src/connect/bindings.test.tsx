import { cleanup, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { SWRConfig } from "swr";
import { afterEach, expect, it, vi } from "vitest";

import Bindings from "@/app/(owner)/bindings/page";
import type { OwnersBinding } from "@/api/types";

const ACTIVE: OwnersBinding = {
  binding_id: "b1",
  status: "ACTIVE",
  site: { site_id: "s", display_name: "Corner Shop", domain: null, domain_verified: false },
  agent: { agent_id: "a", display_name: "Courier" },
  bound_at: "2026-11-23T10:00:00Z",
  ended_at: null,
  ended_by: null,
};
const ENDED: OwnersBinding = { ...ACTIVE, status: "ENDED", ended_at: "2026-11-23T11:00:00Z", ended_by: "site" };

function serve(lists: OwnersBinding[][]): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    asked.push(`${init.method ?? "GET"} ${url}`);
    const items = lists.length > 1 && init.method === "GET" ? lists.shift() : lists[0];
    return Promise.resolve(new Response(JSON.stringify({ ok: true, data: { items, next_cursor: null } })));
  });
  render(
    <SWRConfig value={{ provider: () => new Map(), dedupingInterval: 0, revalidateOnFocus: false }}>
      <Bindings />
    </SWRConfig>,
  );
  return asked;
}

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

it("ends one after a question, and says so", async () => {
  const asked = serve([[ACTIVE], [ENDED]]);
  const user = userEvent.setup();
  await user.click(await screen.findByRole("button", { name: "End the binding of Courier to Corner Shop" }));
  expect(asked.filter((one) => one.startsWith("DELETE"))).toEqual([]);
  await user.click(screen.getByRole("button", { name: "End the binding" }));
  const said = await screen.findByText("The binding of Courier to Corner Shop has ended.");
  await waitFor(() => {
    expect(document.activeElement?.contains(said)).toBe(true);
  });
  expect(document.activeElement).not.toBe(document.body);
  expect(asked).toContain("DELETE /api/v1/modules/bindings/b1");
});

it("shows who ended one, and offers no end to it", async () => {
  serve([[ENDED]]);
  await screen.findByText(/ended by the site/u);
  expect(screen.queryByRole("button")).toBeNull();
});

it("teaches what a binding is", async () => {
  serve([[]]);
  await screen.findByText("No agent is bound to a site yet");
});
