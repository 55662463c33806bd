"use client";

import Link from "next/link";
import { useEffect, useRef, type ReactNode } from "react";

/** A form that is sent by this page itself. */
export function Form({ onSend, children }: { onSend: () => void; children: ReactNode }) {
  return (
    <form
      className="grid gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        onSend();
      }}
    >
      {children}
    </form>
  );
}

/** What one step of a flow says first; it takes the focus, so that it is read out. */
export function StepLead({ children }: { children: ReactNode }) {
  const lead = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    lead.current?.focus();
  }, []);
  return (
    <p ref={lead} tabIndex={-1} className="outline-none">
      {children}
    </p>
  );
}

/** Where else one might want to go. */
export function Elsewhere({ links }: { links: readonly (readonly [string, string])[] }) {
  return (
    <ul className="flex flex-wrap gap-x-6 border-t border-line pt-3">
      {links.map(([href, name]) => (
        <li key={href}>
          <Link href={href} className="inline-flex min-h-11 items-center">
            {name}
          </Link>
        </li>
      ))}
    </ul>
  );
}
