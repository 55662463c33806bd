import { initials } from "@/lib/initials";

/** A name's initials: no picture is loaded from anywhere. */
export function Avatar({ name }: { name: string }) {
  return (
    <span
      aria-hidden
      className="grid size-11 shrink-0 place-items-center rounded-full bg-raised font-semibold text-muted"
    >
      {initials(name)}
    </span>
  );
}
