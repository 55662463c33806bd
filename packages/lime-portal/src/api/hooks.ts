"use client";

/** What components use to read from the API: cached, deduplicated, refreshed on focus. */

import useSWR, { useSWRConfig, type KeyedMutator } from "swr";
import useSWRInfinite, { unstable_serialize } from "swr/infinite";

import { call } from "./client";
import { ApiError } from "./errors";
import type { ListOf } from "./types";

export type Loaded<T> = {
  data: T | undefined;
  error: unknown;
  /** Nothing has come yet. */
  loading: boolean;
  /** Read again, or set what was read. */
  mutate: KeyedMutator<T>;
};

/** Milliseconds after which it is read again while the page is visible; 0 for never. */
type Every = { every?: number };

/** Whether asking again by itself may help: what is not there, or not allowed, is so the next time, too. */
function mayPass(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status === 0 || error.status === 429 || error.status >= 500;
}

/** What stands at `path` (null: nothing is asked for yet). */
export function useApi<T>(path: string | null, { every = 0 }: Every = {}): Loaded<T> {
  const { data, error, isLoading, mutate } = useSWR<T, unknown>(path, (at: string) => call<T>(at), {
    refreshInterval: every,
    shouldRetryOnError: mayPass,
  });
  return { data, error, loading: isLoading, mutate };
}

export type Pages<T> = {
  items: readonly T[] | undefined;
  error: unknown;
  loading: boolean;
  /** Whether there is another page. */
  more: boolean;
  /** Another page is on its way. */
  loadingMore: boolean;
  loadMore: () => void;
  /** Read all pages that are shown again. */
  reload: () => Promise<void>;
};

/** The list at `path`, page by page (`cursor` and `next_cursor`). */
export function usePages<T>(path: string | null, { every = 0 }: Every = {}): Pages<T> {
  const { data, error, isLoading, size, setSize, mutate } = useSWRInfinite<ListOf<T>, unknown>(
    (_index: number, before: ListOf<T> | null) => pageAfter(path, before),
    (at: string) => call<ListOf<T>>(at),
    { refreshInterval: every, shouldRetryOnError: mayPass },
  );
  const last = data?.at(-1);
  return {
    items: data?.flatMap((page) => page.items),
    error,
    loading: isLoading,
    more: last !== undefined && last.next_cursor !== null,
    loadingMore: data !== undefined && size > data.length,
    loadMore: () => void setSize(size + 1),
    reload: async () => {
      await mutate();
    },
  };
}

/**
 * Forgets what was read of the list at `path`, so that the next page that shows it reads it anew.
 *
 * With the answer the question is forgotten, too, which SWR does only for what is to be read again: a page
 * that comes within two seconds of the last one would else wait for an answer that nobody gives it any more.
 */
export function useForget(): (path: string) => Promise<void> {
  const { mutate } = useSWRConfig();
  return async (path) => {
    // The pages are kept apart from their sequence, which would else be put together from old ones.
    const isPage = (key: unknown) => typeof key === "string" && (key === path || key.startsWith(`${path}?`));
    await mutate(isPage, undefined);
    await mutate(unstable_serialize(() => pageAfter(path, null)), undefined);
  };
}

function pageAfter(path: string | null, before: ListOf<unknown> | null): string | null {
  if (path === null || (before !== null && before.next_cursor === null)) {
    return null;
  }
  const cursor = before?.next_cursor;
  return cursor == null ? path : `${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}`;
}
