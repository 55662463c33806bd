import type { ReactNode } from "react";

/** What a page is, its main action, and its content. */
export function Page({
  title, lead, action, children,
}: {
  title: string;
  /** What one can do here, in a sentence. */
  lead?: ReactNode;
  action?: ReactNode;
  children: ReactNode;
}) {
  return (
    <div className="grid gap-6">
      <title>{`${title} · LIME`}</title>
      <div className="flex flex-wrap items-start justify-between gap-4">
        <div className="grid min-w-0 flex-1 basis-64 content-start gap-1">
          <h1 className="text-2xl font-semibold break-words">{title}</h1>
          {lead === undefined ? null : <div className="text-muted">{lead}</div>}
        </div>
        {action}
      </div>
      {children}
    </div>
  );
}

/** A part of a page. */
export function Section({
  title, lead, action, children,
}: {
  title: string;
  lead?: ReactNode;
  action?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <section className="grid gap-4 rounded-xl border border-line bg-surface p-4 sm:p-6">
      <div className="flex flex-wrap items-start justify-between gap-3">
        <div className="grid min-w-0 flex-1 basis-64 content-start gap-1">
          <h2 className="text-lg font-semibold">{title}</h2>
          {lead === undefined ? null : <p className="text-muted">{lead}</p>}
        </div>
        {action}
      </div>
      {children}
    </section>
  );
}

/** Nothing is here yet: what it would be, and how to begin. */
export function Empty({ title, children, action }: { title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="grid justify-items-start gap-3 rounded-lg border border-dashed border-edge p-6">
      <p className="font-medium">{title}</p>
      <div className="max-w-prose text-muted">{children}</div>
      {action}
    </div>
  );
}

/** Names and values. */
export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="grid gap-x-6 gap-y-2 sm:grid-cols-[max-content_1fr]">
      {facts.map(([name, value]) => (
        <div key={name} className="grid gap-x-6 sm:col-span-2 sm:grid-cols-subgrid">
          <dt className="text-muted">{name}</dt>
          <dd className="min-w-0 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
