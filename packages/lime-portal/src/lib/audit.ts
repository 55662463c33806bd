/** The audit log in sentences. */

import type { AuditEntry } from "@/api/types";

export type Reader = {
  /** Whose log it is. */
  owner: string;
  /** Who reads it: the owner, or an operator. */
  viewer: string;
};

type Detail = AuditEntry["detail"];

const FACTORS: Readonly<Record<string, string>> = {
  totp: "an authenticator",
  passkey: "a passkey",
  "recovery-codes": "recovery codes",
};
const METHODS: Readonly<Record<string, string>> = {
  password: "a password",
  totp: "a password and a code",
  "recovery-code": "a password and a recovery code",
  passkey: "a passkey",
};
const FIELDS: Readonly<Record<string, string>> = {
  display_name: "name",
  description: "description",
  avatar_url: "avatar",
  capabilities: "capabilities",
  domain: "domain",
  domain_verified: "proof of its domain",
  active: "switch",
};

/** What somebody did, as the rest of a sentence that begins with who it was. */
const DEEDS: Readonly<Record<string, (detail: Detail) => string>> = {
  "owner.registered": () => "made this account",
  "owner.first.claimed": () => "gave this account its first password, by the link of the first start",
  "owner.signed-in": (detail) => `signed in${after(" with ", lookUp(METHODS, detail.method))}`,
  "owner.signed-out": () => "signed out",
  "owner.sign-in.failed": (detail) =>
    `refused a sign-in: the ${detail.wrong === "second-factor" ? "second factor" : "password"} was wrong`,
  "owner.session.ended": (detail) => {
    if (typeof detail.others !== "number") {
      return "ended a session";
    }
    return detail.others === 1 ? "ended the one other session" : `ended all ${detail.others} other sessions`;
  },
  "owner.stepped-up": () => "proved again who is at the screen",
  "owner.password.changed": () => "changed the password",
  "owner.password.reset": () => "set a new password by mail",
  "owner.factor.added": (detail) => `added ${lookUp(FACTORS, detail.factor) ?? "a second factor"}`,
  "owner.factor.removed": (detail) => `removed ${lookUp(FACTORS, detail.factor) ?? "a second factor"}`,
  "owner.recovery-code.used": () => "used a recovery code",
  "owner.suspended": () => "suspended this account",
  "owner.restored": () => "restored this account",
  "operator.appointed": () => "made this account an operator",
  "operator.dismissed": () => "made this account an ordinary one again",
  "agent.registered": (detail) => `made the agent${named(detail)}`,
  "agent.changed": (detail) => changed("the agent", detail),
  "agent.deleted": (detail) => `deleted the agent${named(detail)}`,
  "agent.token.rotated": (detail) => rotated("the agent", detail),
  "agent.suspended": () => "suspended an agent",
  "agent.restored": () => "restored an agent",
  "site.registered": (detail) => `made the site${named(detail)}`,
  "site.changed": (detail) =>
    detail.domain_verified === true && Object.keys(detail).length === 1
      ? "proved the domain of the site"
      : changed("the site", detail),
  "site.redirect-uris.changed": () => "changed the redirect URIs of the site",
  "site.deleted": (detail) => `deleted the site${named(detail)}`,
  "site.token.rotated": (detail) => rotated("the site", detail),
  "site.suspended": () => "suspended a site",
  "site.restored": () => "restored a site",
  "site.event.redelivered": () => "had an event of the site sent again",
  "binding.approved": () => "allowed a site to know an agent",
  "binding.refused": () => "refused a site that asked for an agent",
  "binding.made": () => "took up the binding of an agent",
  "binding.ended": () => "ended the binding of an agent",
  "agent.keys.changed": () => "changed the public keys of the agent",
  "oauth.consent.given": () => "let a program open MCP servers as an agent",
  "oauth.consent.revoked": () => "took back what a program may do as an agent",
  "oauth.code.replayed": () => "ended the tokens of a program: somebody used one of its codes twice",
  "oauth.refresh.reused": () => "ended the tokens of a program: somebody used an old one again",
  "kyc.case.opened": (detail) => `asked for identity level ${text(detail.target_level)}`,
  "kyc.case.submitted": () => "took up the identity case",
  "kyc.case.approved": () => "approved the identity case",
  "kyc.case.rejected": () => "rejected the identity case",
  "kyc.case.expired": () => "closed the identity case, which nobody decided in time",
  "kyc.level.changed": (detail) => `changed the identity level from ${text(detail.from)} to ${text(detail.to)}`,
  "kyc.document.read": (detail) => `read a document of the identity case${after(": ", text(detail.name))}`,
};

/** What an entry says, in a sentence; an action that is not known here is named as it is. */
export function sentence(entry: AuditEntry, reader: Reader): string {
  // An own key: the action comes from the server, and must not find what every object inherits.
  const deed = Object.hasOwn(DEEDS, entry.action) ? DEEDS[entry.action] : undefined;
  const why = text(entry.detail.reason);
  return `${who(entry, reader)} ${deed?.(entry.detail) ?? `did “${entry.action}”`}${after(". Reason: ", why)}.`
    .replace(/([.?!…])\.$/u, "$1");
}

/** Who did it, at the beginning of a sentence. */
export function who({ actor }: AuditEntry, { owner, viewer }: Reader): string {
  switch (actor.kind) {
    case "owner":
      if (actor.id === viewer) {
        return "You";
      }
      return actor.id === owner ? "The owner" : "Another owner";
    case "operator":
      return actor.id === viewer ? "You, as an operator," : "An operator";
    case "site":
      return "The site";
    case "agent":
      return "The agent";
    case "system":
      return actor.id.startsWith("kyc:") ? "The identity provider" : "The server";
    default:
      return `${actor.kind} ${actor.id}`;
  }
}

/** The entries in which every word of `query` occurs somewhere, whatever its case. */
export function matching(entries: readonly AuditEntry[], query: string, reader: Reader): AuditEntry[] {
  const words = query.toLowerCase().split(/\s+/u).filter(Boolean);
  return entries.filter((entry) => {
    const said = `${sentence(entry, reader)} ${JSON.stringify(entry)}`.toLowerCase();
    return words.every((word) => said.includes(word));
  });
}

/** What else an entry says: names and values to be shown. */
export function details(detail: Detail): [string, string][] {
  return Object.entries(detail).map(([name, value]) => [
    name.replaceAll("_", " "),
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
}

function named(detail: Detail): string {
  const name = text(detail.display_name);
  return name === "" ? "" : ` “${name}”`;
}

function changed(what: string, detail: Detail): string {
  const names = Object.keys(detail);
  if (names.length === 1 && typeof detail.active === "boolean") {
    return `switched ${what} ${detail.active ? "on" : "off"}`;
  }
  const said = names.map((name) => lookUp(FIELDS, name) ?? name.replaceAll("_", " "));
  return said.length === 0 ? `changed ${what}` : `changed ${what}: ${said.join(", ")}`;
}

function rotated(what: string, detail: Detail): string {
  const end = detail.overlap_seconds === 0 ? "; the old one stopped at once" : "";
  return `gave ${what} a new token${end}`;
}

function lookUp(table: Readonly<Record<string, string>>, key: unknown): string | undefined {
  return typeof key === "string" && Object.hasOwn(table, key) ? table[key] : undefined;
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function after(before: string, said: string | undefined): string {
  return said === undefined || said === "" ? "" : before + said;
}
