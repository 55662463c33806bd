"use client";

import { useEffect, useState } from "react";

/**
 * Milliseconds without a touch after which a page stops asking for news.
 *
 * Every question counts as a use of the session, so a page that never stops would keep it from ending
 * when its owner has walked away.
 */
export const DOZES_AFTER = 10 * 60_000;
const LOOKS_EVERY = 15_000;
const TOUCHES = ["pointermove", "pointerdown", "keydown", "focus", "visibilitychange"] as const;

/** Whether somebody is at this page: it can be seen, and was touched in the last ten minutes. */
export function useAwake(): boolean {
  const [awake, setAwake] = useState(true);
  useEffect(() => {
    let touched = Date.now();
    function look() {
      setAwake(!document.hidden && Date.now() - touched < DOZES_AFTER);
    }
    function touch() {
      touched = Date.now();
      look();
    }
    const timer = setInterval(look, LOOKS_EVERY);
    for (const name of TOUCHES) {
      window.addEventListener(name, touch, { passive: true, capture: true });
    }
    return () => {
      clearInterval(timer);
      for (const name of TOUCHES) {
        window.removeEventListener(name, touch, { capture: true });
      }
    };
  }, []);
  return awake;
}
