/** A page is on its way, and until it is here nobody knows what it is called. */
export function LoadingPage({ what }: { what: string }) {
  return (
    <>
      <title>LIME</title>
      <Loading what={what} />
    </>
  );
}

/** Something is on its way. It takes the room of a page, so that nothing jumps when it arrives. */
export function Loading({ what }: { what: string }) {
  return (
    <div role="status" className="grid min-h-96 content-start gap-4">
      <span className="sr-only">Loading {what}</span>
      <div aria-hidden className="h-9 w-48 animate-pulse rounded-lg bg-raised" />
      <div aria-hidden className="h-40 animate-pulse rounded-lg bg-raised" />
    </div>
  );
}
