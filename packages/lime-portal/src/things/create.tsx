"use client";

import { useRouter } from "next/navigation";
import { useState, type ReactNode } from "react";

import { call } from "@/api/client";
import { useForget } from "@/api/hooks";
import { fieldError, otherError } from "@/lib/field-error";
import { newKeys } from "@/lib/keys";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { ShownOnce, Snippet } from "@/ui/copy";
import { Dialog, OnceDialog } from "@/ui/dialog";
import { Area, Field } from "@/ui/field";
import { Problem } from "@/ui/notice";
import { pageOf, type Kind } from "./kinds";
import { apiBase, settings } from "./snippets";

/** Characters in a display name and in a description, as the server counts them. */
export const LONGEST_NAME = 100;
export const LONGEST_TEXT = 2000;

export type Made = { id: string; token: string };

/** A button with a dialog that makes an agent or a site, and shows its token. */
export function Create({
  kind, button, buttonKind = "primary", nameHint, more, next,
}: {
  kind: Kind;
  button: string;
  buttonKind?: "primary" | "plain";
  nameHint: string;
  /** The one thing besides the name that can be said at once. */
  more: { field: string; label: string; hint: string; long: boolean };
  /** What to do with the token, below it. */
  next: ReactNode;
}) {
  const router = useRouter();
  const forget = useForget();
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<Made | undefined>(undefined);
  function close() {
    setOpen(false);
  }
  return (
    <>
      <Button
        kind={buttonKind}
        onClick={() => {
          setOpen(true);
        }}
      >
        {button}
      </Button>
      <Dialog open={open} title={`A new ${kind.noun}`} onClose={close}>
        <Form
          kind={kind}
          nameHint={nameHint}
          more={more}
          onCancel={close}
          onMade={(one) => {
            setOpen(false);
            setMade(one);
          }}
        />
      </Dialog>
      <OnceDialog
        open={made !== undefined}
        title={`The token of your ${kind.noun}`}
        onKept={() => {
          const id = made?.id ?? "";
          setMade(undefined);
          void forget(kind.api).then(() => {
            router.push(pageOf(kind, id));
          });
        }}
      >
        <ShownOnce secret={made?.token ?? ""} what={`${kind.noun} token`} />
        <p className="text-muted">Where the {kind.noun} runs, it goes into the environment:</p>
        <Snippet what="settings" code={settings(kind.variable, apiBase(), made?.token ?? "")} />
        {next}
      </OnceDialog>
    </>
  );
}

function Form({
  kind, nameHint, more, onMade, onCancel,
}: {
  kind: Kind;
  nameHint: string;
  more: { field: string; label: string; hint: string; long: boolean };
  onMade: (made: Made) => void;
  onCancel: () => void;
}) {
  const [name, setName] = useState("");
  const [extra, setExtra] = useState("");
  // One whose answer was lost is the same one when it is asked for again: nobody has seen its token.
  const [keyOf] = useState(newKeys);
  const register = useAction(async () => {
    const body = { display_name: name.trim(), ...(extra.trim() === "" ? {} : { [more.field]: extra.trim() }) };
    const request = { method: "POST", body, idempotencyKey: keyOf(body) } as const;
    const answer = await call<Record<string, unknown>>(`${kind.api}/register`, request);
    onMade({ id: String(answer[`${kind.noun}_id`]), token: String(answer[`${kind.noun}_token`]) });
  });
  const Extra = more.long ? Area : Field;
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        void register.run();
      }}
    >
      <Field
        label="Name"
        hint={nameHint}
        value={name}
        onChange={setName}
        error={fieldError(register.error, "display_name")}
        maxLength={LONGEST_NAME}
        autoComplete="off"
        required
        autoFocus
      />
      <Extra
        label={more.label}
        hint={more.hint}
        value={extra}
        onChange={setExtra}
        error={fieldError(register.error, more.field)}
        maxLength={more.long ? LONGEST_TEXT : 254}
        required={false}
      />
      <Problem error={otherError(register.error, ["display_name", more.field])} />
      <div className="flex flex-wrap justify-end gap-3">
        <Button kind="plain" onClick={onCancel}>
          Cancel
        </Button>
        <Button type="submit" busy={register.busy}>
          Make the {kind.noun}
        </Button>
      </div>
    </form>
  );
}
