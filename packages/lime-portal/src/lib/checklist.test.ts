import { describe, expect, it } from "vitest";

import type { KycCase } from "@/api/types";
import { checklist, count, type Known } from "./checklist";

const NEW: Known = {
  agents: 0,
  sites: 0,
  factors: { totp: false, recovery_codes_left: 0, passkeys: [] },
  kyc: { level: 0, takes_documents: true, case: null },
};

function states(known: Partial<Known>) {
  return Object.fromEntries(checklist({ ...NEW, ...known }).map(({ id, state }) => [id, state]));
}

function withCase(state: KycCase["state"], level = 0): Known["kyc"] {
  const one: KycCase = {
    case_id: "c", provider: "manual", state, target_level: 1, level: null, reason: null, documents: [],
    created_at: "2026-11-23T10:00:00Z", expires_at: "2026-12-23T10:00:00Z", decided_at: null,
  };
  return { level, takes_documents: true, case: one };
}

describe("checklist", () => {
  it("is all open to begin with", () => {
    expect(states({})).toEqual({ agent: "open", site: "open", factor: "open", identity: "open" });
  });

  it("notes what is there", () => {
    expect(states({ agents: 2, sites: 1 })).toMatchObject({ agent: "done", site: "done", factor: "open" });
  });

  it("takes an authenticator or a passkey for a second factor", () => {
    const passkey = { id: "p", name: "Key", created_at: "2026-11-23T10:00:00Z", last_used_at: null };
    expect(states({ factors: { ...NEW.factors, totp: true } }).factor).toBe("done");
    expect(states({ factors: { ...NEW.factors, passkeys: [passkey] } }).factor).toBe("done");
  });

  it.each([
    ["OPEN", "waiting"],
    ["SUBMITTED", "waiting"],
    ["REJECTED", "open"],
    ["EXPIRED", "open"],
  ] as const)("with a case that is %s identity is %s", (state, expected) => {
    expect(states({ kyc: withCase(state) }).identity).toBe(expected);
  });

  it("is done with identity at any level, whatever else is asked for", () => {
    expect(states({ kyc: withCase("SUBMITTED", 1) }).identity).toBe("done");
  });
});

it("counts what was read, and says so when there is more", () => {
  expect(count({ items: [1, 2], next_cursor: null })).toBe("2");
  expect(count({ items: [1, 2], next_cursor: "x" })).toBe("more than 2");
});
