"use client";

import { useState } from "react";

import { call } from "@/api/client";
import type { Loaded } from "@/api/hooks";
import { fieldError, otherError } from "@/lib/field-error";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Area, Field } from "@/ui/field";
import { Problem } from "@/ui/notice";
import { Section } from "@/ui/page";
import { LONGEST_NAME, LONGEST_TEXT } from "./create";
import { apiOf, type Kind } from "./kinds";

type Texts = { display_name: string; description?: string | null; avatar_url?: string | null };

/** What an agent or site is called; of an agent also what it does, and its picture. */
export function Profile<T extends Texts>({
  kind, id, thing, mutate,
}: {
  kind: Kind;
  id: string;
  thing: T;
  mutate: Loaded<T>["mutate"];
}) {
  // Only what was typed: what was not stays as the server has it.
  const [typed, setTyped] = useState<Partial<Record<keyof Texts, string>>>({});
  const [saved, setSaved] = useState(false);
  const save = useAction(async () => {
    const changed = await call<T>(apiOf(kind, id), { method: "PATCH", body: typed });
    await mutate(changed, { revalidate: false });
    setTyped({});
    setSaved(true);
  });
  function field(name: keyof Texts) {
    return {
      value: typed[name] ?? thing[name] ?? "",
      error: fieldError(save.error, name),
      onChange: (value: string) => {
        setSaved(false);
        setTyped({ ...typed, [name]: value });
      },
    };
  }
  return (
    <Section title="Profile">
      <form
        className="grid gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          void save.run();
        }}
      >
        <Field label="Name" {...field("display_name")} maxLength={LONGEST_NAME} autoComplete="off" required />
        {kind.noun === "agent" ? (
          <>
            <Area
              label="Description"
              hint="What it does, for the people whose sites it visits."
              {...field("description")}
              maxLength={LONGEST_TEXT}
              required={false}
            />
            <Field
              label="Picture"
              hint="An https address. It is passed on as it is; this server never loads it, and these pages show initials."
              type="url"
              inputMode="url"
              {...field("avatar_url")}
              maxLength={LONGEST_TEXT}
              autoComplete="off"
              required={false}
            />
          </>
        ) : null}
        <Problem error={otherError(save.error, ["display_name", "description", "avatar_url"])} />
        <div className="flex flex-wrap items-center gap-3">
          <Button type="submit" busy={save.busy} disabled={Object.keys(typed).length === 0}>
            Save
          </Button>
          <span role="status" className="text-muted">
            {saved ? "Saved." : ""}
          </span>
        </div>
      </form>
    </Section>
  );
}
