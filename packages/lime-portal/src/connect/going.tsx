"use client";

import { useEffect, useRef } from "react";

/** The question is answered, and the browser is on its way to whoever asked. */
export function Going({ to, host }: { to: string; host: string }) {
  const said = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The button that was pressed is gone.
    said.current?.focus();
  }, []);
  return (
    <div ref={said} tabIndex={-1} className="grid gap-3">
      <p role="status">Answered. Going back to {host}.</p>
      <p>
        <a href={to}>Go there now</a>
      </p>
    </div>
  );
}
