/** How long an old token may go on beside a new one. The server allows up to seven days. */

export type Overlap = { seconds: number; label: string; meaning: string };

export const OVERLAPS: readonly [Overlap, ...Overlap[]] = [
  {
    seconds: 3600,
    label: "1 hour",
    meaning: "Both tokens work for an hour: time to put the new one in place without an interruption.",
  },
  {
    seconds: 0,
    label: "None",
    meaning: "The old token stops working at once. Choose this if somebody else may have it.",
  },
  {
    seconds: 86_400,
    label: "1 day",
    meaning: "Both tokens work for a day: time for a release.",
  },
  {
    seconds: 604_800,
    label: "7 days",
    meaning: "Both tokens work for a week, the longest there is. Whoever has the old one can use it that long.",
  },
];

/** The one of so many seconds; the first if there is none. */
export function overlapOf(seconds: string): Overlap {
  return OVERLAPS.find((overlap) => String(overlap.seconds) === seconds) ?? OVERLAPS[0];
}
