import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it, vi } from "vitest";

import { base64, inWords, LARGEST_CASE, LARGEST_DOCUMENT, MOST_DOCUMENTS, pack, problemWith, shownName, typeOf } from "./documents";

const PDF = new TextEncoder().encode("%PDF-1.7\n");
const MB = 1024 * 1024;

describe("limits", () => {
  it("are the server's", () => {
    const kyc = readFileSync(
      join(import.meta.dirname, "../../../lime-server/src/lime_server/foundation/kyc.py"),
      "utf8",
    );
    expect(kyc).toContain(`MOST_DOCUMENTS = ${MOST_DOCUMENTS}\n`);
    expect(kyc).toContain(`LARGEST_DOCUMENT = ${LARGEST_DOCUMENT / MB} * 1024 * 1024\n`);
    expect(kyc).toContain(`LARGEST_CASE = ${LARGEST_CASE / MB} * 1024 * 1024\n`);
  });
});

describe("problemWith", () => {
  const file = (size: number, name = "a.pdf") => ({ name, size });
  it.each([
    ["none", [], "Choose at least one"],
    ["too many", Array.from({ length: 5 }, () => file(1)), "At most 4"],
    ["a large one", [file(1), file(5 * MB + 1, "b.pdf")], "b.pdf is larger than 5 MB"],
    ["an empty one", [file(0, "c.pdf")], "c.pdf is empty"],
    ["too much together", [file(4 * MB), file(4 * MB), file(4 * MB)], "Together they are larger than 10 MB"],
  ])("%s", (_what, files, said) => {
    expect(problemWith(files)).toContain(said);
  });

  it("takes what fits exactly", () => {
    expect(problemWith([file(5 * MB), file(5 * MB)])).toBeUndefined();
  });
});

describe("pack", () => {
  it("says what a file is by its content", async () => {
    const file = new File([PDF], "passport.png", { type: "image/png" });
    expect(await pack(file)).toEqual({
      name: "passport.png",
      content_type: "application/pdf",
      content_base64: Buffer.from(PDF).toString("base64"),
    });
  });

  it("refuses another type by name", async () => {
    await expect(pack(new File(["<html>"], "page.pdf"))).rejects.toThrow("page.pdf is no PDF");
  });

  it("says which file cannot be read", async () => {
    const file = new File([PDF], "gone.pdf");
    vi.spyOn(file, "arrayBuffer").mockRejectedValue(new DOMException("gone", "NotReadableError"));
    await expect(pack(file)).rejects.toThrow("gone.pdf cannot be read");
  });
});

it.each([
  [[...PDF], "application/pdf"],
  [[0xff, 0xd8, 0xff, 0xe0], "image/jpeg"],
  [[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], "image/png"],
  [[0x89, 0x50, 0x4e, 0x47], undefined],
  [[], undefined],
])("typeOf %j", (bytes, type) => {
  expect(typeOf(Uint8Array.from(bytes))).toBe(type);
});

describe("shownName", () => {
  it.each([
    ["id card.pdf", "id card.pdf"],
    [" a\u202efdp.exe\n", "afdp.exe"],
    ["\u0000", "document"],
  ])("%j", (name, shown) => {
    expect(shownName(name)).toBe(shown);
  });

  it("shortens in whole characters and keeps the ending", () => {
    const shown = shownName(`${"🍋".repeat(120)}.jpeg`);
    expect(Array.from(shown)).toHaveLength(100);
    expect(shown.endsWith("🍋….jpeg")).toBe(true);
    expect(Array.from(shownName("x".repeat(120)))).toHaveLength(100);
  });
});

it.each([0, 1, 2, 3, 24575, 24576, 24577, 100_000])("base64 of %i bytes", (length) => {
  const bytes = Uint8Array.from({ length }, (_, index) => (index * 31) % 256);
  expect(base64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
});

it.each([
  [1, "1 byte"],
  [1023, "1023 bytes"],
  [1024, "1 KB"],
  [1536, "1.5 KB"],
  [2000, "2 KB"],
  [5 * MB, "5 MB"],
  [10.6 * MB, "11 MB"],
])("%i in words", (bytes, words) => {
  expect(inWords(bytes)).toBe(words);
});
