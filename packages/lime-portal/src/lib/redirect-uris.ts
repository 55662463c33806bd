/** Redirect URIs, judged before they are sent. The server judges again, and has the last word. */

/** Redirect URIs of one site. */
export const MOST_URIS = 20;
/** Characters of one. */
export const LONGEST_URI = 2048;

/** What is wrong with a redirect URI, and what to do; undefined if nothing is. */
export function problemOf(uri: string): string | undefined {
  if (uri.length > LONGEST_URI) {
    return `A redirect URI has at most ${LONGEST_URI} characters.`;
  }
  // White space and the backslash are read by browsers in ways of their own.
  if (!/^[!-[\]-~]+$/.test(uri)) {
    return "Use printable ASCII characters only, without spaces and backslashes.";
  }
  const url = parsed(uri);
  if (url === undefined || !/^https?:\/\/[^/?#]/i.test(uri)) {
    return "Type the whole address, such as https://shop.example/lime/callback.";
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    return "Use https. Plain http is only for development on your own machine, such as http://127.0.0.1:8001/callback.";
  }
  if (uri.includes("@") && url.username + url.password !== "") {
    return "Leave out user name and password.";
  }
  if (uri.includes("#")) {
    return "Leave out the part after #: it never arrives at your site.";
  }
  return uri.includes("*") ? "Write it in full: it is compared letter by letter, and * stands for nothing." : undefined;
}

export type Uris = readonly string[];

/** The list with `uri` at its end. */
export function added(uris: Uris, uri: string): { uris: Uris } | { problem: string } {
  const trimmed = uri.trim();
  const problem = problemOf(trimmed);
  if (problem !== undefined) {
    return { problem };
  }
  if (uris.includes(trimmed)) {
    return { problem: "It is on the list already." };
  }
  return uris.length >= MOST_URIS
    ? { problem: `At most ${MOST_URIS} redirect URIs. Remove one first.` }
    : { uris: [...uris, trimmed] };
}

function parsed(uri: string): URL | undefined {
  try {
    return new URL(uri);
  } catch {
    return undefined;
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}
