"use client";

import { useRouter } from "next/navigation";

import { call } from "@/api/client";
import { useForget } from "@/api/hooks";
import { Confirm } from "@/ui/confirm";
import { Section } from "@/ui/page";
import { apiOf, type Kind } from "./kinds";

const STAYS: Readonly<Record<Kind["noun"], string>> = {
  agent: "Sites keep their record of its logins.",
  site: "Owners of agents keep their record of logins to it.",
};

/** The end of an agent or site. */
export function Danger({ kind, id, name }: { kind: Kind; id: string; name: string }) {
  const router = useRouter();
  const forget = useForget();
  return (
    <Section
      title={`Delete this ${kind.noun}`}
      lead="For good. To keep it from being let in for a while, switch it off instead."
      action={
        <Confirm
          button={`Delete the ${kind.noun}`}
          title={`Delete ${name}?`}
          confirm="Delete it for good"
          work={async () => {
            await call(apiOf(kind, id), { method: "DELETE" });
            await forget(kind.api);
            router.push(kind.list);
          }}
        >
          <p>Its tokens stop working at once. This cannot be undone, and its id is never given to another one.</p>
          <p>{STAYS[kind.noun]}</p>
        </Confirm>
      }
    />
  );
}
