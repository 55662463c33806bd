import { describe, expect, it } from "vitest";

import { qrCode } from "./qr";

describe("qrCode", () => {
  it("has a quiet zone of four modules around a square of the smallest version", () => {
    const { size, path } = qrCode("x");
    // Version 1 has 21 modules (ISO/IEC 18004).
    expect(size).toBe(21 + 8);
    const places = [...path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)].map(([, x, y]) => [Number(x), Number(y)]);
    expect(places.join(" ").length).toBeGreaterThan(0);
    expect(Math.min(...places.flat())).toBe(4);
    expect(Math.max(...places.flat())).toBe(4 + 20);
    // The outer ring of the finder pattern at the top left is dark.
    expect(path.startsWith("M4 4h1v1h-1zM5 4h1v1h-1z")).toBe(true);
  });

  it("holds the address of an authenticator", () => {
    const uri = `otpauth://totp/LIME:${"a".repeat(200)}%40example.com?secret=${"A".repeat(32)}&issuer=LIME`;
    expect(qrCode(uri).size).toBeGreaterThan(21 + 8);
  });
});
