/** WebAuthn between the server's JSON and the browser's buffers. */

import { PageError } from "@/api/errors";

/** JSON as Web Authentication Level 3, section 5.1, has it: buffers are base64url. */
export type Json = Record<string, unknown>;

/** Whether this browser can use passkeys on this page at all. */
export function passkeysWork(): boolean {
  return typeof window !== "undefined" && window.isSecureContext && typeof window.PublicKeyCredential === "function";
}

/**
 * What the browser's passkey answers to the server's `options`, for the server.
 *
 * @throws PageError if there is none, or somebody thought better of it.
 */
export async function askForPasskey(options: Json): Promise<Json> {
  const publicKey = requestOptions(options);
  return answer(await asked(() => navigator.credentials.get({ publicKey })));
}

/** A new passkey made from the server's `options`, for the server. @throws PageError */
export async function makePasskey(options: Json): Promise<Json> {
  const publicKey = creationOptions(options);
  return answer(await asked(() => navigator.credentials.create({ publicKey })));
}

async function asked(ask: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  let given: Credential | null;
  try {
    given = await ask();
  } catch (error) {
    throw new PageError(reason(error));
  }
  if (given === null) {
    throw new PageError(CANCELLED);
  }
  return given as PublicKeyCredential;
}

const CANCELLED = "No passkey was chosen, or the time was over. Try again when you are ready.";

function reason(error: unknown): string {
  switch (error instanceof Error ? error.name : "") {
    case "NotAllowedError":
    case "AbortError":
      return CANCELLED;
    case "InvalidStateError":
      return "This device has a passkey of yours already. It is in the list below.";
    case "SecurityError":
      return "Browsers allow passkeys only where the server has a name. Open it by its name, such as localhost, not by an IP address.";
    case "NotSupportedError":
      return "This device cannot make a passkey that this server accepts. Try another device.";
    default:
      return "The browser could not do that. Try again, or use another way to sign in.";
  }
}

/** `PublicKeyCredential.parseRequestOptionsFromJSON`, also for browsers that lack it. */
export function requestOptions(json: Json): PublicKeyCredentialRequestOptions {
  return {
    ...(json as object),
    challenge: bytes(json.challenge),
    ...(json.allowCredentials === undefined ? {} : { allowCredentials: descriptors(json.allowCredentials) }),
  };
}

/** `PublicKeyCredential.parseCreationOptionsFromJSON`, also for browsers that lack it. */
export function creationOptions(json: Json): PublicKeyCredentialCreationOptions {
  const user = json.user as Json;
  const made = {
    ...json,
    challenge: bytes(json.challenge),
    user: { ...user, id: bytes(user.id) },
    ...(json.excludeCredentials === undefined ? {} : { excludeCredentials: descriptors(json.excludeCredentials) }),
  };
  return made as unknown as PublicKeyCredentialCreationOptions;
}

function descriptors(json: unknown): PublicKeyCredentialDescriptor[] {
  return (json as Json[]).map((one) => ({ ...one, type: "public-key", id: bytes(one.id) }));
}

/** `PublicKeyCredential.toJSON`, also for browsers and password managers that lack it. */
export function answer(credential: PublicKeyCredential): Json {
  const { response } = credential;
  const attestation = response as Partial<AuthenticatorAttestationResponse>;
  const assertion = response as Partial<AuthenticatorAssertionResponse>;
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: {},
    response: {
      clientDataJSON: text(response.clientDataJSON),
      attestationObject: optional(attestation.attestationObject),
      transports: attestation.getTransports?.(),
      authenticatorData: optional(assertion.authenticatorData),
      signature: optional(assertion.signature),
      userHandle: optional(assertion.userHandle),
    },
  };
}

function optional(buffer: ArrayBuffer | null | undefined): string | undefined {
  return buffer === null || buffer === undefined ? undefined : text(buffer);
}

/** base64url without padding (RFC 4648, section 5). */
export function text(buffer: ArrayBuffer): string {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes behind base64url. @throws PageError if it is none. */
export function bytes(base64url: unknown): Uint8Array<ArrayBuffer> {
  try {
    const binary = atob(String(base64url).replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (char) => char.charCodeAt(0));
  } catch {
    throw new PageError("The server asked for a passkey in a way that this page does not know.");
  }
}
