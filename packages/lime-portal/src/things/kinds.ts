/** What agents and sites have in common, and by what they differ. */

import { segment } from "@/api/client";

export type Kind = {
  /** What one is called in a sentence. */
  noun: "agent" | "site";
  /** Where the API has them. */
  api: string;
  /** The page that lists them. */
  list: string;
  /** The page of one of them. */
  page: string;
  /** The variable from which the SDK reads the token. */
  variable: string;
};

export const AGENT: Kind = {
  noun: "agent",
  api: "/core/agents",
  list: "/agents/",
  page: "/agents/agent/",
  variable: "LIME_AGENT_TOKEN",
};

export const SITE: Kind = {
  noun: "site",
  api: "/foundation/sites",
  list: "/sites/",
  page: "/sites/site/",
  variable: "LIME_SITE_TOKEN",
};

/** Where the API has this one. */
export function apiOf(kind: Kind, id: string): string {
  return `${kind.api}/${segment(id)}`;
}

/** The page of this one. */
export function pageOf(kind: Kind, id: string): string {
  return `${kind.page}?id=${encodeURIComponent(id)}`;
}
