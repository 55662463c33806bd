"use client";

import { useState } from "react";

import { call, segment } from "@/api/client";
import type { KnownStanding } from "@/api/types";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Problem } from "@/ui/notice";

/** Characters of a reason (`core/names.py`). */
export const LONGEST_REASON = 500;

const EFFECTS = {
  owners: "All agents and sites of this owner are refused from their next request on.",
  agents: "This agent is refused from its next request on, and gets no more passports.",
  sites: "This site is refused from its next request on.",
} as const;

export type Judged = { kind: keyof typeof EFFECTS; id: string; name: string; suspended: boolean };

/** Suspends or restores an owner, an agent or a site, with a reason. */
export function Judge({ judged: { kind, id, name, suspended }, onDone }: { judged: Judged; onDone: () => Promise<unknown> }) {
  const [open, setOpen] = useState(false);
  const [reason, setReason] = useState("");
  const [empty, setEmpty] = useState(false);
  const verb = suspended ? "Restore" : "Suspend";
  const act = useAction(async () => {
    const path = `/foundation/operator/${kind}/${segment(id)}/${suspended ? "restore" : "suspend"}`;
    await call<KnownStanding>(path, { method: "POST", body: { reason } });
    setOpen(false);
    await onDone();
  });
  return (
    <>
      <Button
        kind={suspended ? "plain" : "danger"}
        label={`${verb} ${name}`}
        onClick={() => {
          act.clear();
          setReason("");
          setEmpty(false);
          setOpen(true);
        }}
      >
        {verb}
      </Button>
      <Dialog
        open={open}
        title={`${verb} ${name}?`}
        onClose={() => {
          setOpen(false);
        }}
      >
        <form
          noValidate
          className="grid gap-4"
          onSubmit={(event) => {
            event.preventDefault();
            setEmpty(reason.trim() === "");
            if (reason.trim() !== "") {
              void act.run();
            }
          }}
        >
          <p>{suspended ? "It works again at once, unless its owner has switched it off." : EFFECTS[kind]}</p>
          <Field
            label="Reason"
            hint="A sentence or two, which the owner can read in their log."
            value={reason}
            onChange={setReason}
            error={empty ? "Give a reason." : undefined}
            required
            maxLength={LONGEST_REASON}
            autoFocus
          />
          <Problem error={act.error} />
          <div className="flex flex-wrap justify-end gap-3">
            <Button
              kind="plain"
              onClick={() => {
                setOpen(false);
              }}
            >
              Keep it as it is
            </Button>
            <Button type="submit" kind={suspended ? "primary" : "danger"} busy={act.busy}>
              {verb}
            </Button>
          </div>
        </form>
      </Dialog>
    </>
  );
}
