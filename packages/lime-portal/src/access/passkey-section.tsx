"use client";

import { useState } from "react";

import { call, segment } from "@/api/client";
import { PageError } from "@/api/errors";
import type { AddedPasskey, Passkey } from "@/api/types";
import { makePasskey, passkeysWork, type Json } from "@/lib/passkeys";
import { useMe } from "@/session/session";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Problem } from "@/ui/notice";
import { Empty, Section } from "@/ui/page";
import { Time } from "@/ui/time";
import { errorAt, errorBeside } from "./errors";
import { Form } from "./form";

/** Keys in devices and password managers, which sign in without a password. */
export function PasskeySection({ onCodes }: { onCodes: (codes: string[]) => void }) {
  const { me, reload } = useMe();
  const [adding, setAdding] = useState(false);
  const { passkeys } = me.second_factor;
  const add = (
    <Button
      kind="plain"
      onClick={() => {
        setAdding(true);
      }}
    >
      Add a passkey
    </Button>
  );
  return (
    <Section
      title="Passkeys"
      lead="Sign in by your device's own lock. Once there is one, the password alone is not enough."
      action={passkeys.length === 0 ? null : add}
    >
      {passkeys.length === 0 ? (
        <Empty title="No passkeys yet" action={add}>
          A passkey lives in your phone, computer, security key or password manager. It cannot be guessed or phished.
        </Empty>
      ) : (
        <ul aria-label="Passkeys" className="divide-y divide-line">
          {passkeys.map((passkey) => (
            <li key={passkey.id} className="flex flex-wrap items-center justify-between gap-3 py-3 first:pt-0 last:pb-0">
              <One passkey={passkey} />
              <Confirm
                button="Remove"
                label={`Remove ${passkey.name}`}
                title={`Remove ${passkey.name}?`}
                confirm="Remove it"
                work={async () => {
                  await call(`/foundation/users/passkeys/${segment(passkey.id)}`, { method: "DELETE" });
                  await reload();
                }}
              >
                <p>It opens nothing here any more. Your device may still offer it; delete it there, too.</p>
              </Confirm>
            </li>
          ))}
        </ul>
      )}
      <Dialog
        open={adding}
        title="Add a passkey"
        onClose={() => {
          setAdding(false);
          // It may have been added by a try whose answer was lost.
          void reload();
        }}
      >
        <Adding
          onAdded={(codes) => {
            setAdding(false);
            if (codes !== null) {
              onCodes(codes);
            }
            void reload();
          }}
        />
      </Dialog>
    </Section>
  );
}

function One({ passkey }: { passkey: Passkey }) {
  return (
    <div className="min-w-0">
      <p className="font-medium break-words">{passkey.name}</p>
      <p className="text-sm text-muted">
        Added <Time at={passkey.created_at} />, last used <Time at={passkey.last_used_at} />
      </p>
    </div>
  );
}

function Adding({ onAdded }: { onAdded: (codes: string[] | null) => void }) {
  const [name, setName] = useState("");
  const add = useAction(async () => {
    if (!passkeysWork()) {
      throw new PageError("This browser makes no passkeys on this page. Use a newer one, or open the page by https.");
    }
    const { options } = await call<{ options: Json }>("/foundation/users/passkeys/options", { method: "POST" });
    const credential = await makePasskey(options);
    const made = await call<AddedPasskey>("/foundation/users/passkeys", { method: "POST", body: { name, credential } });
    onAdded(made.recovery_codes);
  });
  return (
    <Form onSend={() => void add.run()}>
      <Field
        label="Name"
        hint="What you will know it by, such as the device it is in."
        value={name}
        onChange={setName}
        error={errorAt("name", add.error)}
        maxLength={100}
        autoComplete="off"
        required
        autoFocus
      />
      <Problem error={errorBeside(["name"], add.error)} />
      <Button type="submit" busy={add.busy}>
        Make the passkey
      </Button>
    </Form>
  );
}
