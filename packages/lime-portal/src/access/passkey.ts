/** What a passkey is used for, from the first request to the last. */

import { call } from "@/api/client";
import type { LoginState } from "@/api/types";
import { askForPasskey, type Json } from "@/lib/passkeys";

/** Begins a session. @throws PageError if no passkey answers, and what the API throws. */
export async function signInWithPasskey(): Promise<LoginState> {
  const { options } = await call<{ options: Json }>("/foundation/users/login/passkey/options", { method: "POST" });
  const credential = await askForPasskey(options);
  return await call<LoginState>("/foundation/users/login/passkey", { method: "POST", body: { credential } });
}

/** Proves in this session that its owner is there. @throws PageError if no passkey answers, and what the API throws. */
export async function stepUpWithPasskey(): Promise<void> {
  const { options } = await call<{ options: Json }>("/foundation/users/step-up/passkey/options", { method: "POST" });
  const credential = await askForPasskey(options);
  await call("/foundation/users/step-up", { method: "POST", body: { credential } });
}
