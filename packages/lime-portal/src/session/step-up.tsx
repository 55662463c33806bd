"use client";

/** Proving again who one is, when the server asks for it (403 `STEP_UP_REQUIRED`). */

import { createContext, use, useCallback, useRef, useState, type ReactNode } from "react";

import { errorAt } from "@/access/errors";
import { stepUpWithPasskey } from "@/access/passkey";
import { call } from "@/api/client";
import { ApiError, AUTHENTICATOR_CODE, type Words } from "@/api/errors";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Problem } from "@/ui/notice";
import { useMe } from "./session";

/** Resolves once it is proven; `false` if the owner thought better of it. */
type Ask = () => Promise<boolean>;

const StepUp = createContext<Ask | null>(null);

/**
 * `work`, done again after the owner has proven who they are if the server asks for that.
 *
 * @throws whatever `work` throws; the refusal itself when the owner closes the dialog.
 */
export async function withStepUp<R>(work: () => Promise<R>, ask: Ask | null): Promise<R> {
  try {
    return await work();
  } catch (error) {
    if (ask === null || !(error instanceof ApiError) || error.code !== "STEP_UP_REQUIRED" || !(await ask())) {
      throw error;
    }
    return await work();
  }
}

/** How to ask; null outside {@link StepUpDialog}. */
export function useStepUp(): Ask | null {
  return use(StepUp);
}

/** Lets everything below it ask for a step-up. */
export function StepUpDialog({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false);
  const waiting = useRef<((proven: boolean) => void)[]>([]);
  const ask = useCallback<Ask>(() => {
    setOpen(true);
    return new Promise((answer) => waiting.current.push(answer));
  }, []);
  function close(proven: boolean) {
    setOpen(false);
    for (const answer of waiting.current.splice(0)) {
      answer(proven);
    }
  }
  return (
    <StepUp value={ask}>
      {children}
      <Dialog
        open={open}
        title="Is it you?"
        onClose={() => {
          close(false);
        }}
      >
        <Proof
          onProven={() => {
            close(true);
          }}
        />
      </Dialog>
    </StepUp>
  );
}

/** Whoever is asked here is signed in already. */
const ANOTHER_WAY: Words = {
  INVALID_PASSKEY: "That passkey was not accepted. Try again, or prove it in another way.",
};

function Proof({ onProven }: { onProven: () => void }) {
  const { me } = useMe();
  const [means, setMeans] = useState<"password" | "code">("password");
  const [value, setValue] = useState("");
  const [error, setError] = useState<unknown>(undefined);
  const [busy, setBusy] = useState(false);
  async function prove(by: () => Promise<unknown>) {
    setBusy(true);
    setError(undefined);
    try {
      await by();
      onProven();
    } catch (refusal) {
      setError(refusal);
      setBusy(false);
    }
  }
  const byCode = means === "code";
  const wrong = error instanceof ApiError && error.code === "INVALID_CREDENTIALS";
  const said = wrong ? "This is not your password." : errorAt("code", error, AUTHENTICATOR_CODE);
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        void prove(() => call("/foundation/users/step-up", { method: "POST", body: { [means]: value } }));
      }}
    >
      <p className="text-muted">What you are about to do is hard to undo. Prove that you are {me.email}.</p>
      <Problem error={said === undefined ? error : undefined} here={ANOTHER_WAY} />
      <Field
        key={means}
        label={byCode ? "Code of your authenticator" : "Password"}
        type={byCode ? "text" : "password"}
        inputMode={byCode ? "numeric" : undefined}
        autoComplete={byCode ? "one-time-code" : "current-password"}
        value={value}
        onChange={setValue}
        error={said}
        required
        autoFocus
      />
      <div className="flex flex-wrap items-center justify-between gap-3">
        <div className="-ml-4 flex flex-wrap gap-3">
          {me.second_factor.totp ? (
            <Button
              kind="quiet"
              onClick={() => {
                setMeans(byCode ? "password" : "code");
                setValue("");
                setError(undefined);
              }}
            >
              {byCode ? "Use the password" : "Use the authenticator"}
            </Button>
          ) : null}
          {me.second_factor.passkeys.length === 0 ? null : (
            <Button kind="quiet" busy={busy} onClick={() => void prove(stepUpWithPasskey)}>
              Use a passkey
            </Button>
          )}
        </div>
        <Button type="submit" busy={busy}>
          Go on
        </Button>
      </div>
    </form>
  );
}
