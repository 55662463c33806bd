/** Cloudflare's Turnstile: the one script from elsewhere, loaded only where an operator chose it. */

import { PageError } from "@/api/errors";

const SCRIPT = "https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit";

/** The part of its interface that is used (developers.cloudflare.com/turnstile). */
type Api = {
  render: (
    place: HTMLElement,
    options: {
      sitekey: string;
      callback: (token: string) => void;
      "expired-callback": () => void;
      "error-callback": () => void;
    },
  ) => string;
  reset: (widget: string) => void;
  remove: (widget: string) => void;
};

declare global {
  interface Window {
    turnstile?: Api;
  }
}

export type Turnstile = {
  /** The token, which works once; asks for another one. @throws PageError while there is none. */
  take: () => string;
  remove: () => void;
};

/** Show the widget in `place`. @throws PageError if its script does not come. */
export async function showTurnstile(place: HTMLElement, sitekey: string): Promise<Turnstile> {
  const api = await loaded();
  let token: string | undefined;
  const forget = () => {
    token = undefined;
  };
  const widget = api.render(place, {
    sitekey,
    callback: (given) => {
      token = given;
    },
    "expired-callback": forget,
    "error-callback": forget,
  });
  return {
    take: () => {
      if (token === undefined) {
        throw new PageError("Complete the box above the button first.");
      }
      const taken = token;
      forget();
      api.reset(widget);
      return taken;
    },
    remove: () => {
      api.remove(widget);
    },
  };
}

let loading: Promise<Api> | undefined;

function loaded(): Promise<Api> {
  loading ??= new Promise<Api>((resolve, reject) => {
    const fail = () => {
      // The next try loads it again.
      loading = undefined;
      reject(new PageError("Cloudflare Turnstile cannot be reached. Allow challenges.cloudflare.com, then reload the page."));
    };
    const script = document.createElement("script");
    script.src = SCRIPT;
    script.async = true;
    script.onload = () => {
      if (window.turnstile === undefined) {
        fail();
      } else {
        resolve(window.turnstile);
      }
    };
    script.onerror = fail;
    document.head.append(script);
  });
  return loading;
}
