"use client";

import { useEffect, useEffectEvent, useReducer } from "react";

import { openStream } from "@/api/stream";
import type { DeliveryState } from "@/api/types";
import { NOTHING_YET, sleep, watch, watching, type Watching } from "@/lib/watch";

/**
 * How deliveries to a site stand, as it happens, for as long as `on`.
 *
 * `path` is the site's delivery in the API; `onNews` is called for each state that differs from the
 * one before.
 */
export function useDelivery(path: string, on: boolean, onNews: () => void): Watching<DeliveryState> {
  const [state, dispatch] = useReducer(watching<DeliveryState>, NOTHING_YET);
  const tell = useEffectEvent(onNews);
  useEffect(() => {
    if (!on) {
      return undefined;
    }
    const stop = new AbortController();
    void watch<DeliveryState>({
      open: (signal) => openStream(`${path}/stream`, signal),
      parse: (text) => JSON.parse(text) as DeliveryState,
      onChange: (change) => {
        if (!stop.signal.aborted) {
          dispatch(change);
          if (change.type === "data") {
            tell();
          }
        }
      },
      signal: stop.signal,
      sleep,
      random: Math.random,
    });
    return () => {
      stop.abort();
    };
  }, [path, on]);
  return state;
}
