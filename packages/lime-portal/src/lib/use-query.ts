"use client";

import { useSyncExternalStore } from "react";

/**
 * A parameter of the page's own address; `undefined` until the browser runs the page.
 *
 * The export knows no query, so what is rendered at build time must not depend on one.
 */
export function useQuery(name: string): string | null | undefined {
  return useSyncExternalStore(
    subscribe,
    () => new URLSearchParams(window.location.search).get(name),
    () => undefined,
  );
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("popstate", changed);
  return () => {
    window.removeEventListener("popstate", changed);
  };
}
