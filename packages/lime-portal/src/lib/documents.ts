/** Documents on their way to the server, which says the same of them (`foundation/kyc.py`). */

import { PageError } from "@/api/errors";

export const MOST_DOCUMENTS = 4;
/** Bytes of one document. */
export const LARGEST_DOCUMENT = 5 * 1024 * 1024;
/** Bytes of all documents of a case: they travel in one request. */
export const LARGEST_CASE = 10 * 1024 * 1024;
/** For a file input. */
export const ACCEPTED = "application/pdf,image/jpeg,image/png";
/** Characters of a document's name. */
const LONGEST_NAME = 100;

const BEGINNINGS: readonly (readonly [string, readonly number[]])[] = [
  ["application/pdf", [0x25, 0x50, 0x44, 0x46, 0x2d]],
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
];

export type Packed = { name: string; content_type: string; content_base64: string };

/** A file that cannot be sent; the message says which and why. */
export class UnfitFile extends PageError {
  override name = "UnfitFile";
}

/** What is wrong with the number or size of these files, in a sentence. */
export function problemWith(files: readonly { name: string; size: number }[]): string | undefined {
  if (files.length === 0) {
    return "Choose at least one document.";
  }
  if (files.length > MOST_DOCUMENTS) {
    return `At most ${MOST_DOCUMENTS} documents can be sent. Leave some out, or put them into one PDF.`;
  }
  const large = files.find(({ size }) => size > LARGEST_DOCUMENT);
  if (large !== undefined) {
    return `${large.name} is larger than ${inWords(LARGEST_DOCUMENT)}. Send it in parts, or with a lower resolution.`;
  }
  const empty = files.find(({ size }) => size === 0);
  if (empty !== undefined) {
    return `${empty.name} is empty.`;
  }
  const all = files.reduce((sum, { size }) => sum + size, 0);
  return all > LARGEST_CASE
    ? `Together they are larger than ${inWords(LARGEST_CASE)}. Leave some out, or lower their resolution.`
    : undefined;
}

/**
 * A file as it travels.
 *
 * @throws UnfitFile if it begins like none of the types that are taken, or cannot be read.
 */
export async function pack(file: File): Promise<Packed> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new UnfitFile(`${file.name} cannot be read. Choose it again.`);
  }
  // What it is, not what its name says: the server looks too.
  const type = typeOf(bytes);
  if (type === undefined) {
    throw new UnfitFile(`${file.name} is no PDF, JPEG or PNG file.`);
  }
  return { name: shownName(file.name), content_type: type, content_base64: base64(bytes) };
}

/** The media type of what begins like this, if it is one that is taken. */
export function typeOf(bytes: Uint8Array): string | undefined {
  return BEGINNINGS.find(([, beginning]) => beginning.every((byte, index) => bytes[index] === byte))?.[0];
}

/** `name` as the server takes it: printable, and short enough, with its ending kept. */
export function shownName(name: string): string {
  const characters = Array.from(name.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "").trim());
  if (characters.length === 0) {
    return "document";
  }
  if (characters.length <= LONGEST_NAME) {
    return characters.join("");
  }
  const ending = /\.[a-z0-9]{1,5}$/iu.exec(name)?.[0] ?? "";
  return characters.slice(0, LONGEST_NAME - 1 - ending.length).join("") + "…" + ending;
}

/** RFC 4648, section 4. */
export function base64(bytes: Uint8Array): string {
  // In parts, because a call takes only so many arguments; of whole groups of three, because only
  // the last part may be padded.
  const part = 3 * 8192;
  const coded: string[] = [];
  for (let at = 0; at < bytes.length; at += part) {
    coded.push(btoa(String.fromCharCode(...bytes.subarray(at, at + part))));
  }
  return coded.join("");
}

/** A size for people. */
export function inWords(bytes: number): string {
  if (bytes < 1024) {
    return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  }
  const [size, unit] = bytes < 1024 * 1024 ? [bytes / 1024, "KB"] : [bytes / (1024 * 1024), "MB"];
  return `${size < 10 ? Math.round(size * 10) / 10 : Math.round(size)} ${unit}`;
}
