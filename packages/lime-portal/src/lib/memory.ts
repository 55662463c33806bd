"use client";

/** What one page of a flow tells the next, in this tab only: never a secret. */

import { useSyncExternalStore } from "react";

const EMAIL = "lime.email";

/** Keep the address that somebody typed, for the page that comes next. */
export function rememberEmail(email: string): void {
  try {
    window.sessionStorage.setItem(EMAIL, email);
  } catch {
    // A browser that keeps nothing asks again.
  }
}

/** The address from the page before; empty if there is none, `undefined` until the browser runs the page. */
export function useRememberedEmail(): string | undefined {
  return useSyncExternalStore(
    () => () => undefined,
    () => {
      try {
        return window.sessionStorage.getItem(EMAIL) ?? "";
      } catch {
        return "";
      }
    },
    () => undefined,
  );
}
