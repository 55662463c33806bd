"use client";

import type { ReactNode } from "react";

import { useMe } from "@/session/session";
import { ButtonLink } from "@/ui/button";
import { Page } from "@/ui/page";

/** To everybody else there are no such pages, as there are no such paths of the API. */
export function OperatorsOnly({ children }: { children: ReactNode }) {
  const { me } = useMe();
  return me.operator ? (
    children
  ) : (
    <Page title="There is no such page" lead="The address may be mistyped, or the page has moved.">
      <div>
        <ButtonLink href="/">Go to the overview</ButtonLink>
      </div>
    </Page>
  );
}
