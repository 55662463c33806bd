"use client";

import type { ReactNode } from "react";

import { useQuery } from "@/lib/use-query";
import { ButtonLink } from "@/ui/button";
import { LoadingPage } from "@/ui/loading";
import { Notice } from "@/ui/notice";
import { Page } from "@/ui/page";
import type { Kind } from "./kinds";

/** Whether neither an answer nor a refusal has come. */
export function isOnItsWay(data: unknown, error: unknown): boolean {
  return data === undefined && error === undefined;
}

/** The page of the agent or site that the address names. */
export function One({ kind, children }: { kind: Kind; children: (id: string) => ReactNode }) {
  const id = useQuery("id");
  if (id === undefined) {
    return <LoadingPage what={`the ${kind.noun}`} />;
  }
  if (id === null || id === "") {
    return (
      <Page title={`Which ${kind.noun}?`}>
        <Notice tone="warn">The address of this page names no {kind.noun}.</Notice>
        <div>
          <ButtonLink href={kind.list}>See all of them</ButtonLink>
        </div>
      </Page>
    );
  }
  // Another one is another page: nothing that was typed for the one before may be saved to it.
  return <div key={id}>{children(id)}</div>;
}
