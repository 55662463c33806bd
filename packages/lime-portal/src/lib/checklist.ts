/** What a new owner does next. */

import type { KycStatus, Me } from "@/api/types";

export type Step = {
  id: "agent" | "site" | "factor" | "identity";
  title: string;
  why: string;
  /** Where it is done, and what the link there says. */
  href: string;
  action: string;
  state: "done" | "waiting" | "open";
};

export type Known = { agents: number; sites: number; factors: Me["second_factor"]; kyc: KycStatus };

/** The steps of the list, in the order in which they help. */
export function checklist({ agents, sites, factors, kyc }: Known): Step[] {
  const waits = kyc.case?.state === "OPEN" || kyc.case?.state === "SUBMITTED";
  const identity = waits ? "waiting" : "open";
  return [
    {
      id: "agent",
      title: "Make an agent",
      why: "It gets a token, with which your program gets passports for the sites that it visits.",
      href: "/agents/",
      action: "Go to agents",
      state: agents > 0 ? "done" : "open",
    },
    {
      id: "site",
      title: "Make a site",
      why: "Only if you run a backend that lets agents in. It gets a token too.",
      href: "/sites/",
      action: "Go to sites",
      state: sites > 0 ? "done" : "open",
    },
    {
      id: "factor",
      title: "Add a second factor",
      why: "A stolen password alone then opens nothing.",
      href: "/security/",
      action: "Go to sign-in and sessions",
      state: factors.totp || factors.passkeys.length > 0 ? "done" : "open",
    },
    {
      id: "identity",
      title: "Prove who you are",
      why: "Passports of your agents then say how well you are known; some sites ask for that.",
      href: "/kyc/",
      action: "Go to identity",
      state: kyc.level > 0 ? "done" : identity,
    },
  ];
}

/** How many there are, of a list that was read up to its first page. */
export function count(list: { items: readonly unknown[]; next_cursor: string | null }): string {
  return list.next_cursor === null ? String(list.items.length) : `more than ${list.items.length}`;
}
