"use client";

/** What surrounds every page behind the sign-in. */

import Link from "next/link";
import { usePathname } from "next/navigation";
import { useState, type ReactNode } from "react";

import { call } from "@/api/client";
import { Button } from "@/ui/button";
import { classes } from "@/ui/classes";
import { Notice, Problem } from "@/ui/notice";
import { Wordmark } from "@/ui/wordmark";
import { SignedIn, useMe } from "./session";
import { StepUpDialog } from "./step-up";
import { useAction } from "./use-action";

const PAGES = [
  ["/", "Overview"],
  ["/agents/", "Agents"],
  ["/sites/", "Sites"],
  ["/bindings/", "Bindings"],
  ["/grants/", "MCP access"],
  ["/security/", "Sign-in and sessions"],
  ["/kyc/", "Identity"],
  ["/audit/", "Audit log"],
] as const;

export function OwnerShell({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <div className="mx-auto grid max-w-6xl gap-x-8 px-4 md:grid-cols-[13rem_minmax(0,1fr)]">
      <header className="flex min-h-16 items-center justify-between md:col-span-2">
        <Link href="/" className="text-ink no-underline">
          <Wordmark />
        </Link>
        <Button
          kind="plain"
          className="md:hidden"
          expanded={open}
          controls="menu"
          onClick={() => {
            setOpen(!open);
          }}
        >
          Menu
        </Button>
      </header>
      <SignedIn
        frame={(content) => (
          <main id="content" tabIndex={-1} className="min-w-0 pb-16 md:col-start-2">
            <title>LIME</title>
            {content}
          </main>
        )}
      >
        <nav id="menu" aria-label="Pages" className={classes("mb-4 md:row-span-2 md:block", !open && "hidden")}>
          <Menu
            onGo={() => {
              setOpen(false);
            }}
          />
        </nav>
        <main id="content" tabIndex={-1} className="min-w-0 pb-16 md:col-start-2">
          <StepUpDialog>
            <Suspended />
            {children}
          </StepUpDialog>
        </main>
      </SignedIn>
    </div>
  );
}

function Menu({ onGo }: { onGo: () => void }) {
  const { me } = useMe();
  const path = usePathname();
  const pages = me.operator ? [...PAGES, ["/operator/", "Operator console"] as const] : PAGES;
  const signOut = useAction(async () => {
    await call("/foundation/users/logout", { method: "POST" });
    // A full load: nothing of what was read stays in memory.
    window.location.assign("/login/");
  });
  return (
    <div className="grid gap-4">
      <ul className="grid gap-1">
        {pages.map(([href, name]) => {
          const here = href === "/" ? path === "/" : path.startsWith(href);
          return (
            <li key={href}>
              <Link
                href={href}
                // Else every first visit would load the scripts of all of them.
                prefetch={false}
                aria-current={here ? "page" : undefined}
                className={classes(
                  "flex min-h-11 items-center rounded-lg px-3 text-ink no-underline hover:bg-raised hover:text-ink",
                  here && "bg-raised font-semibold",
                )}
                onClick={onGo}
              >
                {name}
              </Link>
            </li>
          );
        })}
      </ul>
      <div className="grid gap-2 border-t border-line px-3 pt-4">
        <p className="text-sm break-words text-muted">Signed in as {me.email}</p>
        <Problem error={signOut.error} />
        <Button kind="plain" busy={signOut.busy} onClick={() => void signOut.run()}>
          Sign out
        </Button>
      </div>
    </div>
  );
}

function Suspended() {
  const { me } = useMe();
  return me.suspended ? (
    <div className="mb-6">
      <Notice tone="bad">
        Your account is suspended: your agents and sites are refused everywhere. Ask the operator of this server.
      </Notice>
    </div>
  ) : null;
}
