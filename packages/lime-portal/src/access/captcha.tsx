"use client";

/** What a registration costs: nothing, a proof of work that the page does by itself, or Turnstile. */

import { useCallback, useEffect, useRef, useState, type RefObject } from "react";

import { call } from "@/api/client";
import { PageError } from "@/api/errors";
import { useApi } from "@/api/hooks";
import type { PortalConfig, Puzzle } from "@/api/types";
import { solveInWorker } from "@/pow/in-worker";
import { Button } from "@/ui/button";
import { Problem } from "@/ui/notice";
import { showTurnstile, type Turnstile } from "./turnstile";

/** The fields that go with a registration. */
export type Proof = { pow?: { challenge: string; nonce: string }; turnstile_token?: string };

export type Captcha = {
  /**
   * What it costs, done.
   *
   * @throws PageError if it was stopped or could not be done, and what the API throws.
   */
  prove: () => Promise<Proof>;
  /** For {@link CaptchaBox}, which the form must hold. */
  box: BoxProps;
};

type BoxProps = {
  config: PortalConfig | undefined;
  error: unknown;
  retry: () => void;
  /** How likely the work was to be done by now, from 0 to 1; null while none is being done. */
  likely: number | null;
  stop: () => void;
  place: RefObject<HTMLDivElement | null>;
};

export function useCaptcha(): Captcha {
  const { data: config, error, mutate } = useApi<PortalConfig>("/foundation/portal-config");
  const [likely, setLikely] = useState<number | null>(null);
  const working = useRef<AbortController>(null);
  const place = useRef<HTMLDivElement>(null);
  const shown = useRef<Promise<Turnstile>>(null);
  const siteKey = config?.captcha.kind === "turnstile" ? config.captcha.site_key : null;

  useEffect(() => {
    if (siteKey === null || place.current === null) {
      return undefined;
    }
    const showing = showTurnstile(place.current, siteKey);
    shown.current = showing;
    // Who sends the form is told; until then nobody waits for it.
    showing.catch(() => undefined);
    return () => {
      void showing.then((turnstile) => {
        turnstile.remove();
      }, () => undefined);
    };
  }, [siteKey]);
  useEffect(() => () => working.current?.abort(), []);

  const stop = useCallback(() => working.current?.abort(new PageError("You stopped the work. Nothing was sent.")), []);

  async function solved(): Promise<Proof> {
    const control = new AbortController();
    working.current = control;
    setLikely(0);
    try {
      const { challenge, difficulty } = await call<Puzzle>("/foundation/users/captcha");
      return { pow: { challenge, nonce: await nonce({ challenge, difficulty }, control.signal, setLikely) } };
    } finally {
      setLikely(null);
    }
  }

  async function prove(): Promise<Proof> {
    const { captcha } = config ?? (await call<PortalConfig>("/foundation/portal-config"));
    switch (captcha.kind) {
      case "none":
        return {};
      case "pow":
        return await solved();
      case "turnstile":
        if (shown.current === null) {
          throw new PageError("Cloudflare Turnstile is still on its way. Try again in a moment.");
        }
        return { turnstile_token: (await shown.current).take() };
    }
  }

  return { prove, box: { config, error, retry: () => void mutate(), likely, stop, place } };
}

async function nonce(task: { challenge: string; difficulty: number }, signal: AbortSignal, onProgress: (likely: number) => void) {
  try {
    return await solveInWorker(task, signal, onProgress);
  } catch (error) {
    throw error instanceof PageError ? error : new PageError("This browser could not do the work. Reload the page, or try another browser.");
  }
}

/** Shows what is being done, or asked for, before the form is sent. */
export function CaptchaBox({ config, error, retry, likely, stop, place }: BoxProps) {
  if (config === undefined) {
    return <Problem error={error} onRetry={retry} />;
  }
  switch (config.captcha.kind) {
    case "none":
      return null;
    case "turnstile":
      return <div ref={place} className="min-h-18" />;
    case "pow":
      return likely === null ? null : (
        <div className="grid gap-2 rounded-lg bg-raised p-4">
          <p role="status">Your browser does a little work, so that registering by the thousand costs something.</p>
          <div className="flex items-center gap-3">
            <progress aria-label="Work done" className="h-3 min-w-0 flex-1 accent-accent" max={1} value={likely} />
            <Button kind="plain" onClick={stop}>
              Stop
            </Button>
          </div>
        </div>
      );
  }
}
