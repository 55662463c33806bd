/** What the consent page has to know about who asks, and about where a browser will go. */

import type { ConsentQuestion } from "@/api/types";
import { isUnder } from "./connecting";

/** The parameters of a query, as an answer sends them back: what has no value was not sent. */
export function requestOf(query: string): Readonly<Record<string, string>> {
  return Object.fromEntries([...new URLSearchParams(query)].filter(([, value]) => value !== ""));
}

/**
 * `redirectTo`, if a browser may be sent there by a script: a web address, or one of an app.
 *
 * The server lets clients register no other. Should that ever fail, this page must not run what
 * somebody wrote into an address. Schemes of apps have a dot (RFC 8252, section 7.1); those that
 * browsers act on by themselves have none.
 *
 * @throws TypeError for everything else.
 */
export function clientAddress(redirectTo: string): string {
  const { protocol } = new URL(redirectTo);
  if (protocol !== "https:" && protocol !== "http:" && !protocol.includes(".")) {
    throw new TypeError("not an address of a client");
  }
  return redirectTo;
}

/** Where the answer goes, for a person. */
export function destination({ loopback, redirect_host }: Pick<ConsentQuestion, "loopback" | "redirect_host">): string {
  return loopback ? `a program on your computer (${redirect_host})` : redirect_host;
}

/** What speaks against allowing it, and what to make sure of; undefined if nothing does. */
export function doubtAbout({
  client, redirect_host, loopback,
}: Pick<ConsentQuestion, "client" | "redirect_host" | "loopback">): string | undefined {
  const started = "Allow this only if you have just started it yourself and meant to.";
  if (client.host === null) {
    const unproven = "Nobody has proven who this program is: anybody can register under any name";
    return loopback
      ? `${unproven}, and any program on your computer can ask in it. ${started}`
      : `${unproven}. Allow this only if you have just come from ${redirect_host} and meant to.`;
  }
  if (loopback) {
    return `${client.host} describes this program, but any program on your computer can ask in its name. ${started}`;
  }
  return isUnder(redirect_host, client.host.replace(/:\d+$/u, "").toLowerCase())
    ? undefined
    : `You will go back to ${redirect_host}, which is not part of ${client.host}. Allow this only if you know both.`;
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
] as const;

/** So many seconds, in the largest unit that does not exaggerate. */
export function spell(seconds: number): string {
  const [unit, length] = UNITS.find(([, long]) => seconds >= long) ?? (["second", 1] as const);
  const number = Math.floor(seconds / length);
  return `${number} ${unit}${number === 1 ? "" : "s"}`;
}
