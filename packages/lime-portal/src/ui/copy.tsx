"use client";

import { useState } from "react";

import { Button } from "./button";
import { Notice } from "./notice";

/** Copies `text`; says whether it did. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [said, setSaid] = useState("");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      // The clipboard is closed to pages that are not secure; the text can still be selected.
      setSaid("Select it and copy it by hand");
    }
  }
  return (
    <span className="inline-flex flex-wrap items-center gap-2">
      <Button kind="plain" label={`Copy ${what}`} onClick={() => void copy()}>
        Copy
      </Button>
      <span role="status" className="text-sm text-muted">
        {said}
      </span>
    </span>
  );
}

/** A value to be put somewhere else, such as a DNS record: in full, and with a button that copies it. */
export function Copyable({ text, what }: { text: string; what: string }) {
  return (
    <div className="flex flex-wrap items-center gap-3">
      <code className="min-w-0 flex-1 basis-60 rounded-lg bg-raised px-3 py-2 font-mono text-sm break-all select-all">
        {text}
      </code>
      <CopyButton text={text} what={what} />
    </div>
  );
}

/** A secret that the server tells only now. */
export function ShownOnce({ secret, what }: { secret: string; what: string }) {
  return (
    <div className="grid gap-3">
      <Notice tone="warn">
        This {what} is shown only now. Copy it to where it is needed; whoever has it can act in your name.
      </Notice>
      <Copyable text={secret} what={what} />
    </div>
  );
}

/** Lines of code to paste. */
export function Snippet({ code, what }: { code: string; what: string }) {
  return (
    <div className="grid gap-2">
      {/* Scrollable by keyboard too. */}
      <pre
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        role="region"
        aria-label={what}
        className="overflow-x-auto rounded-lg bg-raised p-4 font-mono text-sm"
      >
        <code>{code}</code>
      </pre>
      <div>
        <CopyButton text={code} what={what} />
      </div>
    </div>
  );
}
