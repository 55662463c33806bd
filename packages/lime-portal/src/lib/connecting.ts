/** What the connect page has to know about where a browser will go. */

/** Whether `host` (with or without a port) is `domain` or a name under it. */
export function isUnder(host: string, domain: string): boolean {
  const name = host.toLowerCase().replace(/:\d+$/u, "");
  return name === domain || name.endsWith(`.${domain}`);
}

/**
 * `redirectTo`, if a browser may be sent there by a script.
 *
 * The server lets sites list web addresses only. Should that ever fail, this page must not run what
 * somebody wrote into an address.
 *
 * @throws TypeError for everything else.
 */
export function webAddress(redirectTo: string): string {
  const { protocol } = new URL(redirectTo);
  if (protocol !== "https:" && protocol !== "http:") {
    throw new TypeError("not a web address");
  }
  return redirectTo;
}
