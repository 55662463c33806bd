import { afterEach, describe, expect, it, vi } from "vitest";

import { PageError } from "@/api/errors";
import { answer, askForPasskey, bytes, creationOptions, makePasskey, requestOptions, text } from "./passkeys";

const buffer = (...values: number[]) => Uint8Array.from(values).buffer;

afterEach(() => {
  vi.unstubAllGlobals();
});

function credentials(container: Record<string, unknown>) {
  vi.stubGlobal("navigator", { credentials: container });
}

const ASSERTION = {
  id: "-_8",
  rawId: buffer(251, 255),
  type: "public-key",
  authenticatorAttachment: null,
  response: { clientDataJSON: buffer(1), authenticatorData: buffer(2), signature: buffer(3), userHandle: null },
};

describe("base64url", () => {
  it.each([[[]], [[0]], [[251, 255]], [[1, 2, 3]], [[255, 254, 253, 252]]])("comes back as it went: %j", (values) => {
    const encoded = text(buffer(...values));
    expect(encoded).toMatch(/^[\w-]*$/);
    expect([...bytes(encoded)]).toEqual(values);
  });

  it.each(["*", undefined, "a"])("is refused when it is none: %j", (value) => {
    expect(() => bytes(value)).toThrow(PageError);
  });
});

describe("options", () => {
  it("of a sign-in get their buffers", () => {
    const options = requestOptions({ challenge: "AQI", rpId: "h", allowCredentials: [{ id: "Aw", type: "x" }] });
    expect(options).toEqual({
      challenge: bytes("AQI"),
      rpId: "h",
      allowCredentials: [{ id: bytes("Aw"), type: "public-key" }],
    });
    expect(requestOptions({ challenge: "AQI" })).not.toHaveProperty("allowCredentials");
  });

  it("of a new passkey get theirs", () => {
    const options = creationOptions({
      challenge: "AQI",
      user: { id: "Aw", name: "me" },
      excludeCredentials: [{ id: "BA", type: "public-key" }],
    });
    expect(options).toMatchObject({
      challenge: bytes("AQI"),
      user: { id: bytes("Aw"), name: "me" },
      excludeCredentials: [{ id: bytes("BA") }],
    });
    expect(creationOptions({ challenge: "AQI", user: { id: "Aw" } })).not.toHaveProperty("excludeCredentials");
  });
});

describe("answers", () => {
  it("of a sign-in become JSON", async () => {
    const get = vi.fn().mockResolvedValue(ASSERTION);
    credentials({ get });
    const given = await askForPasskey({ challenge: "AQI" });
    expect(JSON.parse(JSON.stringify(given))).toEqual({
      id: "-_8",
      rawId: "-_8",
      type: "public-key",
      clientExtensionResults: {},
      response: { clientDataJSON: "AQ", authenticatorData: "Ag", signature: "Aw" },
    });
    expect(get).toHaveBeenCalledWith({ publicKey: { challenge: bytes("AQI") } });
  });

  it("of a new passkey become JSON, with how it can be reached if the browser says so", () => {
    const made = {
      ...ASSERTION,
      authenticatorAttachment: "platform",
      response: { clientDataJSON: buffer(1), attestationObject: buffer(9), getTransports: () => ["internal"] },
    };
    expect(answer(made as unknown as PublicKeyCredential)).toMatchObject({
      authenticatorAttachment: "platform",
      response: { attestationObject: "CQ", transports: ["internal"] },
    });
  });

  it.each([
    ["NotAllowedError", /Try again when you are ready/],
    ["AbortError", /Try again when you are ready/],
    ["InvalidStateError", /has a passkey of yours already/],
    ["SecurityError", /not by an IP address/],
    ["NotSupportedError", /Try another device/],
    ["UnknownError", /could not do that/],
  ])("that are a %s say what to do", async (name, said) => {
    credentials({ create: vi.fn().mockRejectedValue(new DOMException("x", name)) });
    await expect(makePasskey({ challenge: "AQI", user: { id: "Aw" } })).rejects.toThrow(said);
  });

  it("that are none, or no error at all, are said too", async () => {
    credentials({ get: vi.fn().mockResolvedValueOnce(null).mockRejectedValueOnce("odd") });
    await expect(askForPasskey({ challenge: "AQI" })).rejects.toThrow(PageError);
    await expect(askForPasskey({ challenge: "AQI" })).rejects.toThrow(/could not do that/);
  });
});
