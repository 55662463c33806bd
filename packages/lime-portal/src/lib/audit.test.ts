import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import type { AuditEntry } from "@/api/types";
import { details, matching, sentence, who } from "./audit";

const OWNER = "0198a000-0000-7000-8000-000000000001";
const OPERATOR = "0198a000-0000-7000-8000-000000000002";
const OWN = { owner: OWNER, viewer: OWNER };

function entry(action: string, detail: AuditEntry["detail"] = {}, changes: Partial<AuditEntry> = {}): AuditEntry {
  return {
    entry_id: "e",
    sequence: 1,
    at: "2026-11-23T10:00:00Z",
    actor: { kind: "owner", id: OWNER },
    action,
    target: null,
    request_id: "req-1",
    address: "198.51.100.7",
    detail,
    hash: "00",
    ...changes,
  };
}

describe("sentence", () => {
  it.each<[string, AuditEntry["detail"], string]>([
    ["owner.signed-in", { method: "password" }, "You signed in with a password."],
    ["owner.signed-in", { method: "telepathy" }, "You signed in."],
    ["owner.session.ended", {}, "You ended a session."],
    ["owner.session.ended", { others: 1 }, "You ended the one other session."],
    ["owner.session.ended", { others: 3 }, "You ended all 3 other sessions."],
    ["owner.factor.added", { factor: "totp" }, "You added an authenticator."],
    ["owner.factor.removed", { factor: "novel" }, "You removed a second factor."],
    ["agent.registered", { display_name: "Bot" }, "You made the agent “Bot”."],
    ["agent.registered", {}, "You made the agent."],
    ["agent.changed", { active: false }, "You switched the agent off."],
    ["site.changed", { active: true }, "You switched the site on."],
    ["agent.changed", { display_name: "B", avatar_url: null }, "You changed the agent: name, avatar."],
    ["agent.changed", { brand_new: 1 }, "You changed the agent: brand new."],
    ["agent.changed", {}, "You changed the agent."],
    ["site.changed", { domain_verified: true }, "You proved the domain of the site."],
    ["site.changed", { domain: "a.example", domain_verified: false }, "You changed the site: domain, proof of its domain."],
    ["agent.token.rotated", { overlap_seconds: 0 }, "You gave the agent a new token; the old one stopped at once."],
    ["site.token.rotated", { overlap_seconds: 3600 }, "You gave the site a new token."],
    ["kyc.case.opened", { target_level: 2, documents: 1 }, "You asked for identity level 2."],
    ["kyc.document.read", { name: "id.pdf" }, "You read a document of the identity case: id.pdf."],
    ["kyc.document.read", {}, "You read a document of the identity case."],
  ])("%s %j", (action, detail, said) => {
    expect(sentence(entry(action, detail), OWN)).toBe(said);
  });

  it("gives the reason, and ends once", () => {
    const actor = { kind: "operator", id: OPERATOR };
    expect(sentence(entry("agent.suspended", { reason: "Spam" }, { actor }), OWN)).toBe(
      "An operator suspended an agent. Reason: Spam.",
    );
    expect(sentence(entry("owner.restored", { reason: "All is well." }, { actor }), OWN)).toBe(
      "An operator restored this account. Reason: All is well.",
    );
  });

  it("names what it does not know", () => {
    expect(sentence(entry("agent.painted", { color: "green" }), OWN)).toBe("You did “agent.painted”.");
    expect(sentence(entry("constructor"), OWN)).toBe("You did “constructor”.");
  });

  it("knows which second factor was wrong", () => {
    const actor = { kind: "system", id: "lime-server" };
    expect(sentence(entry("owner.sign-in.failed", { wrong: "password" }, { actor }), OWN)).toContain("the password was");
    expect(sentence(entry("owner.sign-in.failed", { wrong: "second-factor" }, { actor }), OWN)).toContain("second factor");
  });

  it("has words for every action that the server writes", () => {
    const server = join(import.meta.dirname, "../../../lime-server/src/lime_server");
    const named = new Set<string>();
    for (const folder of ["foundation", "modules"]) {
      for (const file of readdirSync(join(server, folder), { recursive: true, encoding: "utf8" })) {
        if (file.endsWith(".py")) {
          const source = readFileSync(join(server, folder, file), "utf8");
          for (const [, action] of source.matchAll(/(?:_record|_write|audit\.record)\([^")]*"([a-z-]+(?:\.[a-z-]+)+)"/gu)) {
            named.add(String(action));
          }
        }
      }
    }
    expect(named.size).toBeGreaterThan(25);
    // Put together from parts, where the search above finds no whole name.
    for (const kind of ["owner", "agent", "site"]) {
      named.add(`${kind}.suspended`).add(`${kind}.restored`);
    }
    for (const state of ["submitted", "approved", "rejected", "expired"]) {
      named.add(`kyc.case.${state}`);
    }
    expect([...named].filter((action) => sentence(entry(action), OWN).includes("“"))).toEqual([]);
  });
});

describe("who", () => {
  it.each([
    [{ kind: "owner", id: OWNER }, OWN, "You"],
    [{ kind: "owner", id: OWNER }, { owner: OWNER, viewer: OPERATOR }, "The owner"],
    [{ kind: "owner", id: "other" }, OWN, "Another owner"],
    [{ kind: "operator", id: OPERATOR }, OWN, "An operator"],
    [{ kind: "operator", id: OPERATOR }, { owner: OWNER, viewer: OPERATOR }, "You, as an operator,"],
    [{ kind: "site", id: "s" }, OWN, "The site"],
    [{ kind: "agent", id: "a" }, OWN, "The agent"],
    [{ kind: "system", id: "lime-server" }, OWN, "The server"],
    [{ kind: "system", id: "kyc:scripted" }, OWN, "The identity provider"],
    [{ kind: "robot", id: "r2" }, OWN, "robot r2"],
  ])("%j", (actor, reader, said) => {
    expect(who(entry("x.y", {}, { actor }), reader)).toBe(said);
  });
});

describe("matching", () => {
  const entries = [
    entry("agent.registered", { display_name: "Courier" }),
    entry("owner.signed-in", { method: "passkey" }, { address: "203.0.113.9", request_id: "req-2" }),
  ];
  it.each([
    ["", 2],
    ["  ", 2],
    ["COURIER", 1],
    ["you signed", 1],
    ["203.0.113.9", 1],
    ["req-1 courier", 1],
    ["courier passkey", 0],
  ])("%j finds %i", (query, found) => {
    expect(matching(entries, query, OWN)).toHaveLength(found);
  });
});

it("shows details as text", () => {
  expect(details({ overlap_seconds: 5, redirect_uris: ["a"], reason: "x" })).toEqual([
    ["overlap seconds", "5"],
    ["redirect uris", '["a"]'],
    ["reason", "x"],
  ]);
});
