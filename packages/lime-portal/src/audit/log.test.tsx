import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";

import type { Pages } from "@/api/hooks";
import type { AuditEntry } from "@/api/types";
import { AuditLog } from "./log";

const READER = { owner: "u", viewer: "u" };

function entry(sequence: number, changes: Partial<AuditEntry> = {}): AuditEntry {
  return {
    entry_id: `e${sequence}`, sequence, at: "2026-11-23T10:00:00Z", actor: { kind: "owner", id: "u" },
    action: "agent.registered", target: { kind: "agent", id: "a1" }, request_id: null, address: "198.51.100.7",
    detail: { display_name: "Courier" }, hash: "00", ...changes,
  };
}

function pagesOf(items: AuditEntry[], changes: Partial<Pages<AuditEntry>> = {}): Pages<AuditEntry> {
  return {
    items, error: undefined, loading: false, more: false, loadingMore: false, loadMore: vi.fn(),
    reload: () => Promise.resolve(), ...changes,
  };
}

afterEach(cleanup);

it("says what happened, and the rest behind a switch", () => {
  render(<AuditLog pages={pagesOf([entry(2), entry(1, { target: null, address: null })])} reader={READER} />);
  const [newest, oldest] = screen.getAllByRole("listitem").map((item) => within(item));
  expect(newest?.getByText("You made the agent “Courier”.")).toBeTruthy();
  expect(newest?.getByText("from 198.51.100.7")).toBeTruthy();
  expect(newest?.getByRole("link", { hidden: true }).getAttribute("href")).toMatch(/^\/agents\/agent\/?\?id=a1$/u);
  expect(oldest?.queryByText(/^from /u)).toBeNull();
  expect(oldest?.queryByRole("link", { hidden: true })).toBeNull();
});

it("leads operators to no page of somebody else's", () => {
  render(<AuditLog pages={pagesOf([entry(1)])} reader={{ owner: "u", viewer: "op" }} />);
  expect(screen.getByText("The owner made the agent “Courier”.")).toBeTruthy();
  expect(screen.queryByRole("link", { hidden: true })).toBeNull();
});

it("searches what is loaded, and offers older entries when nothing of it matches", async () => {
  const user = userEvent.setup();
  const pages = pagesOf([entry(3), entry(2, { action: "owner.signed-out", detail: {} })], { more: true });
  render(<AuditLog pages={pages} reader={READER} />);
  const search = screen.getByRole("searchbox", { name: "Search what is shown" });
  await user.type(search, "courier");
  expect(screen.getAllByRole("listitem")).toHaveLength(1);
  expect(screen.getByRole("status").textContent).toBe("1 of the 2 entries that are loaded; there are older ones.");
  await user.clear(search);
  await user.type(search, "nothing like it");
  await user.click(screen.getByRole("button", { name: "Load older entries" }));
  expect(pages.loadMore).toHaveBeenCalledOnce();
});

it("explains an empty log, and a search without a match at its end", async () => {
  const { rerender } = render(<AuditLog pages={pagesOf([])} reader={READER} />);
  expect(screen.getByText("Nothing has happened yet")).toBeTruthy();
  rerender(<AuditLog pages={pagesOf([entry(1)])} reader={READER} />);
  await userEvent.type(screen.getByRole("searchbox"), "zzz");
  expect(screen.getByText("No entry that is loaded matches")).toBeTruthy();
  expect(screen.queryByRole("button", { name: "Load older entries" })).toBeNull();
});
