/** Public keys of agents, judged before they are sent. The server judges again, and has the last word. */

import type { Jwk } from "@/api/types";

/** Keys of one agent. */
export const MOST_KEYS = 8;
/** Characters that may be pasted: as many RSA keys, with whatever certificates came with them. */
export const LONGEST_PASTE = 65_536;

// RFC 7518, section 6: what a private key has, and a public one has not; `k` is a shared secret.
const PRIVATE = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const PRIVATE_PASTED =
  "This is a private key. It was not sent anywhere, and belongs to the agent alone. Paste the public half.";

/** The keys of a JWK or a JWK Set, as pasted; or what is wrong with it, and what to do. */
export function pastedKeys(text: string): { keys: Jwk[] } | { problem: string } {
  if (text.includes("-----BEGIN")) {
    return { problem: text.includes("PRIVATE KEY") ? PRIVATE_PASTED : "This is PEM. Paste the key as a JWK, which is JSON." };
  }
  const value = parsed(text);
  const keys = Array.isArray(value?.keys) ? (value.keys as unknown[]) : [value];
  if (keys.length === 0) {
    return { problem: "This set holds no key." };
  }
  if (!keys.every(isJwk)) {
    return { problem: 'Paste a JWK, such as {"kty": "OKP", "crv": "Ed25519", "x": "…"}, or a JWK Set.' };
  }
  return keys.some((key) => PRIVATE.some((member) => member in key)) ? { problem: PRIVATE_PASTED } : { keys };
}

/** The keys that are there, with the pasted ones at the end. */
export function addedKeys(known: readonly Jwk[], text: string): { keys: Jwk[] } | { problem: string } {
  const pasted = pastedKeys(text);
  if ("problem" in pasted) {
    return pasted;
  }
  const keys = [...known, ...pasted.keys];
  if (keys.length > MOST_KEYS) {
    return { problem: `An agent has at most ${MOST_KEYS} keys. Remove one first.` };
  }
  const taken = pasted.keys.map(kidOf).find((kid) => kid !== "" && keys.filter((key) => kidOf(key) === kid).length > 1);
  return taken === undefined ? { keys } : { problem: `There would be two keys of the kid ${taken}. Remove one first.` };
}

/** What a key is called. The server gives one to those that have none. */
export function kidOf({ kid }: Jwk): string {
  return typeof kid === "string" ? kid : "";
}

/** What kind of key it is, for a person. */
export function kindOf({ kty, crv, n }: Jwk): string {
  if (kty === "RSA" && typeof n === "string") {
    // Four characters of base64url are three bytes (RFC 7518, section 6.3.1.1).
    return `RSA, ${Math.floor((n.length * 3) / 4) * 8} bits`;
  }
  return typeof crv === "string" ? crv : String(kty);
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isJwk(value: unknown): value is Jwk {
  return isObject(value) && typeof value.kty === "string";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
