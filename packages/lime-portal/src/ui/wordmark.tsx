/** The name, with its mark: a slice of lime. */
export function Wordmark() {
  return (
    <span className="inline-flex items-center gap-2 text-xl font-bold tracking-wide">
      <svg aria-hidden viewBox="0 0 24 24" className="size-7 fill-none stroke-accent stroke-2">
        <circle cx="12" cy="12" r="10" />
        <path d="M12 4v16M5 8l14 8M19 8 5 16" className="stroke-[1.5]" />
      </svg>
      LIME
    </span>
  );
}
