"use client";

import type { Loaded } from "@/api/hooks";
import { useAction, type Action } from "@/session/use-action";

/**
 * A change that is shown before the server has confirmed it, and taken back if it refuses.
 *
 * Only for what is harmless to show too early: a switch, never a token or a deletion.
 */
export function useOptimistic<T>(mutate: Loaded<T>["mutate"]): Action<[shown: T, work: () => Promise<T>], void> {
  return useAction(async (shown: T, work: () => Promise<T>) => {
    await mutate(work(), { optimisticData: shown, rollbackOnError: true, populateCache: true, revalidate: false });
  });
}
