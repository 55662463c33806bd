/** How a sign-in goes: the password, then perhaps a second factor. */

import type { LoginState } from "@/api/types";

export type Means = "totp" | "recovery_code" | "passkey";

export type SignIn =
  | { step: "password"; lapsed: boolean }
  | { step: "factor"; methods: readonly Means[]; means: Means }
  | { step: "done" };

export type Happened =
  /** The server answered a password, a code or a passkey. */
  | { what: "answered"; state: LoginState }
  /** Somebody wants to use another of the methods. */
  | { what: "chose"; means: Means }
  /** The server has forgotten the half that was done: five minutes are over, or five tries. */
  | { what: "lapsed" }
  /** Somebody wants to start again. */
  | { what: "restarted" };

export const START: SignIn = { step: "password", lapsed: false };

const KNOWN: readonly Means[] = ["totp", "passkey", "recovery_code"];

/** The next state. What does not belong to a state changes nothing. */
export function signIn(now: SignIn, happened: Happened): SignIn {
  switch (happened.what) {
    case "answered":
      return now.step === "done" ? now : answered(happened.state);
    case "chose":
      return now.step === "factor" && now.methods.includes(happened.means) ? { ...now, means: happened.means } : now;
    case "lapsed":
      return now.step === "factor" ? { step: "password", lapsed: true } : now;
    case "restarted":
      return now.step === "done" ? now : START;
  }
}

function answered({ status, methods }: LoginState): SignIn {
  if (status === "SIGNED_IN") {
    return { step: "done" };
  }
  // A newer server may know methods that this page does not.
  const known = KNOWN.filter((one) => methods.includes(one));
  return { step: "factor", methods: known, means: known[0] ?? "recovery_code" };
}
