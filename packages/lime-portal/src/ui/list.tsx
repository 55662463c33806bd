"use client";

import type { ReactNode } from "react";

import type { Pages } from "@/api/hooks";
import { Button } from "./button";
import { Loading } from "./loading";
import { Problem } from "./notice";

/** A list that comes in pages: what it holds, what it says when empty, and a button for more. */
export function PagedList<T>({
  pages, what, empty, keyOf, children,
}: {
  pages: Pages<T>;
  /** What the list holds, in the plural. */
  what: string;
  empty: ReactNode;
  keyOf: (item: T) => string;
  children: (item: T) => ReactNode;
}) {
  const { items, error, more, loadingMore, loadMore, reload } = pages;
  if (items === undefined) {
    return error === undefined ? <Loading what={what} /> : <Problem error={error} onRetry={() => void reload()} />;
  }
  if (items.length === 0) {
    return empty;
  }
  return (
    <div className="grid gap-4">
      <ul aria-label={what} className="divide-y divide-line">
        {items.map((item) => (
          <li key={keyOf(item)} className="py-3 first:pt-0 last:pb-0">
            {children(item)}
          </li>
        ))}
      </ul>
      <Problem error={error} />
      {more ? (
        <div>
          <Button kind="plain" busy={loadingMore} onClick={loadMore}>
            Show more
          </Button>
        </div>
      ) : null}
    </div>
  );
}
