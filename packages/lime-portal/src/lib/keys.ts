/** Keys for requests that are done once, however often they are sent (protocol section 1). */

/** The key of a request with this body. */
export type KeyOf = (body?: unknown) => string;

/** A key that no other request has: 128 random bits. */
export function newKey(): string {
  // Not `randomUUID`, which pages without TLS on another machine than this do not have.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Keys for one thing to be done, such as one opened dialog.
 *
 * The same body has the same key each time, so that a try whose answer was lost is answered when it is sent
 * again. Another body is another request, and the server would refuse it under the same key.
 */
export function newKeys(): KeyOf {
  const known = new Map<string | undefined, string>();
  return (body) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const key = known.get(text) ?? newKey();
    known.set(text, key);
    return key;
  };
}
