/** One or two letters that stand for a name where there is no picture. */
export function initials(name: string): string {
  const words = name.match(/[\p{L}\p{N}]+/gu) ?? [];
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => word === undefined ? "" : String.fromCodePoint(word.codePointAt(0) ?? 63));
  return letters.join("").toLocaleUpperCase() || "?";
}
