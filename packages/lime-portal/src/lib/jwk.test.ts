import { describe, expect, it } from "vitest";

import { addedKeys, kidOf, kindOf, MOST_KEYS, pastedKeys } from "./jwk";

const ED = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };
const EC = { kty: "EC", crv: "P-256", x: "a", y: "b", kid: "laptop" };

describe("pastedKeys", () => {
  it("takes one key, and a set of them", () => {
    expect(pastedKeys(` ${JSON.stringify(ED)}\n`)).toEqual({ keys: [ED] });
    expect(pastedKeys(JSON.stringify({ keys: [ED, EC] }))).toEqual({ keys: [ED, EC] });
  });

  it.each([
    ["", /^Paste a JWK/u],
    ["ssh-ed25519 AAAA", /^Paste a JWK/u],
    ["[1]", /^Paste a JWK/u],
    ["{}", /^Paste a JWK/u],
    ['{"keys": [1]}', /^Paste a JWK/u],
    ['{"keys": []}', /^This set holds no key/u],
    ["-----BEGIN PUBLIC KEY-----", /^This is PEM/u],
    ["-----BEGIN EC PRIVATE KEY-----", /^This is a private key/u],
    [JSON.stringify({ ...ED, d: "secret" }), /^This is a private key/u],
    [JSON.stringify({ kty: "oct", k: "secret" }), /^This is a private key/u],
    [JSON.stringify({ keys: [ED, { kty: "RSA", n: "n", e: "AQAB", p: "secret" }] }), /^This is a private key/u],
  ])("refuses %j, and repeats nothing of it", (text, problem) => {
    const refused = pastedKeys(text);
    expect(refused).toEqual({ problem: expect.stringMatching(problem) as string });
    expect(JSON.stringify(refused)).not.toContain("secret");
  });
});

describe("addedKeys", () => {
  it("puts the new ones at the end", () => {
    expect(addedKeys([EC], JSON.stringify(ED))).toEqual({ keys: [EC, ED] });
  });

  it("does not mind keys that have no name yet", () => {
    expect(addedKeys([], JSON.stringify({ keys: [ED, { ...ED, x: "other" }] }))).toHaveProperty("keys.length", 2);
  });

  it("refuses a name that is taken, one too many, and what cannot be read", () => {
    expect(addedKeys([EC], JSON.stringify(EC))).toHaveProperty("problem", expect.stringContaining("laptop"));
    expect(addedKeys(Array<typeof ED>(MOST_KEYS).fill(ED), JSON.stringify(EC))).toHaveProperty(
      "problem", expect.stringContaining("at most 8"),
    );
    expect(addedKeys([], "no")).toHaveProperty("problem");
  });
});

it.each([
  [{ kty: "RSA", n: "x".repeat(342) }, "RSA, 2048 bits"],
  [{ kty: "RSA", n: "x".repeat(683) }, "RSA, 4096 bits"],
  [EC, "P-256"],
  [ED, "Ed25519"],
  [{ kty: "RSA" }, "RSA"],
])("knows the kind of %j", (jwk, kind) => {
  expect(kindOf(jwk)).toBe(kind);
});

it("has a name only for keys that have one", () => {
  expect([kidOf(EC), kidOf(ED), kidOf({ kid: 1 })]).toEqual(["laptop", "", ""]);
});
