"use client";

import { useState } from "react";

import { call } from "@/api/client";
import { ApiError } from "@/api/errors";
import { advise } from "@/lib/password";
import { useMe } from "@/session/session";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Notice, Problem } from "@/ui/notice";
import { PasswordField } from "@/ui/password-field";
import { Section } from "@/ui/page";
import { errorAt, errorBeside } from "./errors";
import { Form } from "./form";

/** Another password; the server ends all other sessions with it. */
export function PasswordSection({ onChanged }: { onChanged: () => void }) {
  const { me } = useMe();
  const [open, setOpen] = useState(false);
  const [done, setDone] = useState(false);
  return (
    <Section
      title="Password"
      lead="Changing it ends all your other sessions."
      action={
        open ? null : (
          <Button
            kind="plain"
            onClick={() => {
              setDone(false);
              setOpen(true);
            }}
          >
            Change the password
          </Button>
        )
      }
    >
      {open ? (
        <Change
          email={me.email}
          onDone={(changed) => {
            setOpen(false);
            setDone(changed);
            if (changed) {
              onChanged();
            }
          }}
        />
      ) : null}
      {done ? <Notice tone="good">Your password is changed. Your other sessions have ended.</Notice> : null}
    </Section>
  );
}

function Change({ email, onDone }: { email: string; onDone: (changed: boolean) => void }) {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [tried, setTried] = useState(false);
  const advice = advise(next);
  const change = useAction(async () => {
    const body = { current_password: current, new_password: next };
    await call("/foundation/users/password", { method: "POST", body });
    onDone(true);
  });
  const wrong = change.error instanceof ApiError && change.error.code === "INVALID_CREDENTIALS";
  return (
    <div className="max-w-md">
      <Form
        onSend={() => {
          setTried(true);
          if (advice.enough) {
            void change.run();
          }
        }}
      >
        {/* For password managers, which keep the password for this address. */}
        <input type="email" autoComplete="username" value={email} readOnly hidden />
        <PasswordField
          label="Current password"
          value={current}
          onChange={setCurrent}
          error={wrong ? "This is not your current password." : undefined}
          autoFocus
        />
        <PasswordField
          label="New password"
          isNew
          value={next}
          onChange={setNext}
          error={errorAt("password", change.error) ?? (tried && !advice.enough ? "This is not enough yet." : undefined)}
        />
        <Problem error={wrong ? undefined : errorBeside(["password"], change.error)} />
        <div className="flex flex-wrap gap-3">
          <Button type="submit" busy={change.busy}>
            Change it
          </Button>
          <Button
            kind="plain"
            onClick={() => {
              onDone(false);
            }}
          >
            Keep the old one
          </Button>
        </div>
      </Form>
    </div>
  );
}
