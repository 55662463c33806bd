"use client";

import { usePathname } from "next/navigation";
import { useSyncExternalStore } from "react";

/** A parameter of the page's own address; `undefined` until the browser runs the page. */
export function useQuery(name: string): string | null | undefined {
  const query = useWholeQuery();
  return query === undefined ? undefined : new URLSearchParams(query).get(name);
}

/**
 * The query of the page's own address, with its question mark; `undefined` until the browser runs the page.
 *
 * The export knows no query, so what is rendered at build time must not depend on one.
 */
export function useWholeQuery(): string | undefined {
  const page = usePathname();
  return useSyncExternalStore(
    subscribe,
    // A page is drawn a moment before the address bar names it; what stands there until then is another page's.
    () => (isSame(page, window.location.pathname) ? window.location.search : undefined),
    () => undefined,
  );
}

/** Whether a page, as the router calls it, is the one at this address; outside of a router any is. */
function isSame(page: string | null, address: string): boolean {
  return page === null || bare(page) === bare(address);
}

function bare(path: string): string {
  return path.replace(/\/$/, "");
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("popstate", changed);
  return () => {
    window.removeEventListener("popstate", changed);
  };
}
