"use client";

import { useState, type ReactNode } from "react";

import { newKey } from "@/lib/keys";
import { useAction } from "@/session/use-action";
import { Button, type Kind } from "./button";
import { Dialog } from "./dialog";
import { Problem } from "./notice";

/** A button that asks before it does what is hard to undo. */
export function Confirm({
  button, label, kind = "danger", title, children, confirm, work,
}: {
  /** The text of the button that opens the question. */
  button: string;
  /** What that button is called where its text alone is not enough. */
  label?: string;
  kind?: Kind;
  title: string;
  /** What will happen. */
  children: ReactNode;
  /** The text of the button that does it. */
  confirm: string;
  /** `key` is the same until the question is asked anew: for what must be done once, however often it is sent. */
  work: (key: string) => Promise<void>;
}) {
  const [open, setOpen] = useState(false);
  const [key, setKey] = useState(newKey);
  const action = useAction(async () => {
    await work(key);
    setOpen(false);
  });
  return (
    <>
      <Button
        kind={kind}
        {...(label === undefined ? {} : { label })}
        onClick={() => {
          action.clear();
          setKey(newKey);
          setOpen(true);
        }}
      >
        {button}
      </Button>
      <Dialog
        open={open}
        title={title}
        onClose={() => {
          setOpen(false);
        }}
      >
        <div className="grid gap-3">{children}</div>
        <Problem error={action.error} />
        <div className="flex flex-wrap justify-end gap-3">
          <Button
            kind="plain"
            onClick={() => {
              setOpen(false);
            }}
          >
            Keep it as it is
          </Button>
          <Button kind={kind} busy={action.busy} onClick={() => void action.run()}>
            {confirm}
          </Button>
        </div>
      </Dialog>
    </>
  );
}
