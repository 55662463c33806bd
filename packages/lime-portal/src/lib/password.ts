/** What the server will say about a new password, said while it is typed. */

/** Bytes, as the server counts them (`foundation.passwords.SHORTEST`). */
export const SHORTEST = 12;
/** Characters of which each is good against guessing for years, whatever they are. */
const LONG = 20;
const FEWEST_DIFFERENT = 5;

export type Advice = { enough: boolean; text: string };

/**
 * Whether `password` is long enough and not of one piece, and what would help.
 *
 * The server knows more about what is guessed first; it has the last word.
 */
export function advise(password: string): Advice {
  // One spelling for what looks alike, as the server has it.
  const normal = password.normalize("NFKC");
  const bytes = new TextEncoder().encode(normal).length;
  if (password === "") {
    return { enough: false, text: `At least ${SHORTEST} characters. Four words in a row are easy to keep in mind.` };
  }
  if (bytes < SHORTEST) {
    const left = SHORTEST - bytes;
    return { enough: false, text: left === 1 ? "One more character." : `${left} more characters.` };
  }
  if (new Set(normal.toLowerCase()).size < FEWEST_DIFFERENT) {
    return { enough: false, text: "Long enough, but the same few characters over and over: vary it." };
  }
  return { enough: true, text: normal.length < LONG ? "Long enough. Longer is better." : "Long and good." };
}
