"use client";

import { useRef, useState } from "react";

import { call } from "@/api/client";
import { ApiError, AUTHENTICATOR_CODE } from "@/api/errors";
import type { RecoveryCodes, TotpSecret } from "@/api/types";
import { newKeys } from "@/lib/keys";
import { qrCode } from "@/lib/qr";
import { useMe } from "@/session/session";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Copyable } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Badge, Problem } from "@/ui/notice";
import { Section } from "@/ui/page";
import { errorAt, errorBeside } from "./errors";
import { Form } from "./form";

/** An app on a phone that shows a code for each half minute. */
export function TotpSection({ onCodes }: { onCodes: (codes: string[]) => void }) {
  const { me, reload } = useMe();
  const [secret, setSecret] = useState<TotpSecret | null>(null);
  const start = useAction(async () => {
    setSecret(await call<TotpSecret>("/foundation/users/totp", { method: "POST" }));
  });
  const on = me.second_factor.totp;
  return (
    <Section
      title="Authenticator"
      lead="An app that shows a new code each half minute. Sign-ins with the password ask for one."
      action={on ? <Badge tone="good">On</Badge> : <Badge>Off</Badge>}
    >
      <Problem error={start.error} />
      <div>
        {on ? (
          <Confirm
            button="Remove the authenticator"
            title="Remove the authenticator?"
            confirm="Remove it"
            work={async () => {
              await call("/foundation/users/totp", { method: "DELETE" });
              await reload();
            }}
          >
            <p>Its codes open nothing any more. Without a passkey, your password alone will be enough to sign in.</p>
          </Confirm>
        ) : (
          <Button kind="plain" busy={start.busy} onClick={() => void start.run()}>
            Add an authenticator
          </Button>
        )}
      </div>
      <Dialog
        open={secret !== null}
        title="Add an authenticator"
        onClose={() => {
          setSecret(null);
          // It may have been added by a try whose answer was lost.
          void reload();
        }}
      >
        {secret === null ? null : (
          <Adding
            secret={secret}
            onAdded={(codes) => {
              setSecret(null);
              onCodes(codes);
              void reload();
            }}
          />
        )}
      </Dialog>
    </Section>
  );
}

/** Whether it may have been carried out all the same, or still be worked on. */
function mayBeDone(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 409 || error.status >= 500);
}

/** Whether it was looked at and is wrong. */
function isRefusedCode(error: unknown): boolean {
  return error instanceof ApiError && error.status === 400;
}

function Adding({ secret, onAdded }: { secret: TotpSecret; onAdded: (codes: string[]) => void }) {
  const [code, setCode] = useState("");
  const [keyOf] = useState(newKeys);
  const lost = useRef<string>(undefined);
  async function send(tried: string) {
    const body = { code: tried };
    const request = { method: "POST", body, idempotencyKey: keyOf(body) } as const;
    try {
      onAdded((await call<RecoveryCodes>("/foundation/users/totp/confirm", request)).recovery_codes);
    } catch (error) {
      if (mayBeDone(error)) {
        lost.current = tried;
      } else if (isRefusedCode(error)) {
        lost.current = undefined;
      }
      throw error;
    }
  }
  const confirm = useAction(async () => {
    const before = lost.current;
    // If the code whose answer was lost was right, every other one is wrong by now, and only it brings the recovery codes.
    if (before !== undefined && before !== code) {
      try {
        await send(before);
        return;
      } catch (error) {
        if (!isRefusedCode(error)) {
          throw error;
        }
      }
    }
    await send(code);
  });
  const { size, path } = qrCode(secret.otpauth_uri);
  return (
    <Form onSend={() => void confirm.run()}>
      <p>Scan this with your authenticator app, or type in the secret below it.</p>
      {/* Dark on light in both schemes: not every reader takes the inverse. */}
      <svg
        role="img"
        aria-label="QR code of the secret"
        viewBox={`0 0 ${size} ${size}`}
        className="w-full max-w-60 justify-self-center rounded-lg bg-white"
      >
        <path d={path} className="fill-black" />
      </svg>
      <Copyable text={secret.secret} what="secret" />
      <Field
        label="Code that it shows now"
        inputMode="numeric"
        autoComplete="one-time-code"
        value={code}
        onChange={setCode}
        error={errorAt("code", confirm.error, AUTHENTICATOR_CODE)}
        maxLength={32}
        required
      />
      <Problem error={errorBeside(["code"], confirm.error)} />
      <Button type="submit" busy={confirm.busy}>
        Add it
      </Button>
    </Form>
  );
}
