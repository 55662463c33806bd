import type { ReactNode } from "react";

import { Wordmark } from "./wordmark";

/** A page about one thing, for people who need not be signed in. */
export function Card({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="mx-auto grid max-w-md gap-6 px-4 py-8 sm:py-16">
      <title>{`${title} · LIME`}</title>
      <header>
        <Wordmark />
      </header>
      <main id="content" tabIndex={-1} className="grid gap-5 rounded-xl border border-line bg-surface p-5 sm:p-8">
        <h1 className="text-2xl font-semibold">{title}</h1>
        {children}
      </main>
    </div>
  );
}
