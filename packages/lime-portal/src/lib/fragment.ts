"use client";

import { useSyncExternalStore } from "react";

/** What begins every such token: a link that holds something else holds none. */
const TOKEN = /^#token=(tk_[\w-]{1,60})$/;

let kept: string | null = null;

/** The token in a page's fragment (`#token=…`); null if there is none. */
export function tokenIn(hash: string): string | null {
  return TOKEN.exec(hash)?.[1] ?? null;
}

/**
 * The one-time token that the page was opened with; `undefined` until the browser runs the page.
 *
 * A fragment is not sent to any server. It is taken out of the address bar at once, so that it gets into no
 * history, bookmark or screenshot, and is kept in memory only.
 */
export function useFragmentToken(): string | null | undefined {
  return useSyncExternalStore(
    subscribe,
    () => tokenIn(window.location.hash) ?? kept,
    () => undefined,
  );
}

function subscribe(changed: () => void): () => void {
  const take = () => {
    const token = tokenIn(window.location.hash);
    if (token !== null) {
      kept = token;
      window.history.replaceState(null, "", window.location.pathname + window.location.search);
      changed();
    }
  };
  // Not before the router has taken over the history: it would write the address back.
  const soon = setTimeout(take);
  window.addEventListener("hashchange", take);
  return () => {
    clearTimeout(soon);
    window.removeEventListener("hashchange", take);
  };
}
