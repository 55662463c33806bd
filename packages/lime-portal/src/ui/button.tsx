"use client";

import Link from "next/link";
import type { MouseEventHandler, ReactNode } from "react";

import { classes } from "./classes";

export type Kind = "primary" | "plain" | "quiet" | "danger";

// 44 pixels high: large enough for a thumb (WCAG 2.2, 2.5.5).
const SHAPE =
  "inline-flex min-h-11 items-center justify-center gap-2 rounded-lg px-4 text-center font-medium no-underline " +
  "transition-colors disabled:cursor-not-allowed disabled:opacity-60 aria-disabled:opacity-60";
const LOOKS: Readonly<Record<Kind, string>> = {
  primary: "bg-accent text-on-accent hover:bg-accent-strong hover:text-on-accent",
  plain: "border border-edge bg-surface text-ink hover:bg-raised hover:text-ink",
  quiet: "text-accent underline underline-offset-2 hover:bg-raised",
  danger: "border border-bad bg-surface text-bad hover:bg-bad-soft",
};

type Props = {
  children: ReactNode;
  kind?: Kind;
  type?: "button" | "submit";
  /** It is being done: it cannot be pressed twice, and says so. */
  busy?: boolean;
  disabled?: boolean;
  onClick?: MouseEventHandler<HTMLButtonElement>;
  /** What it is called where its text alone is not enough, such as in a row of a list. */
  label?: string;
  /** Of a button that shows and hides something: whether it is shown, and the id of what it is. */
  expanded?: boolean;
  controls?: string;
  className?: string;
};

export function Button({
  children, kind = "primary", type = "button", busy = false, disabled = false, onClick, label, expanded, controls,
  className,
}: Props) {
  return (
    <button
      type={type}
      className={classes(SHAPE, LOOKS[kind], className)}
      disabled={disabled || busy}
      aria-busy={busy}
      aria-label={label}
      aria-expanded={expanded}
      aria-controls={controls}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

/** A link that looks like a button: it goes somewhere. */
export function ButtonLink({ href, children, kind = "primary" }: { href: string; children: ReactNode; kind?: Kind }) {
  return (
    <Link href={href} prefetch={false} className={classes(SHAPE, LOOKS[kind])}>
      {children}
    </Link>
  );
}

/** A link to what the server sends as a file; the page stays where it is. */
export function DownloadLink({ href, children, kind = "plain" }: { href: string; children: ReactNode; kind?: Kind }) {
  return (
    <a href={href} download className={classes(SHAPE, LOOKS[kind])}>
      {children}
    </a>
  );
}
