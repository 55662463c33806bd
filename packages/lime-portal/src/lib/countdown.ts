/** How long is left. */

export type Left = {
  /** By this machine's clock, which may be wrong: only the server knows. */
  over: boolean;
  /** For people, such as `9 min 05 s`. */
  text: string;
};

/** What is left until `until` (RFC 3339) at `now` (milliseconds since 1970). */
export function left(until: string, now: number): Left {
  const seconds = Math.ceil((Date.parse(until) - now) / 1000);
  // Also for what is no time at all.
  if (!(seconds > 0)) {
    return { over: true, text: "none" };
  }
  const [minutes, rest] = [Math.floor(seconds / 60), seconds % 60];
  if (minutes >= 60) {
    return { over: false, text: `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min` };
  }
  return { over: false, text: minutes === 0 ? `${rest} s` : `${minutes} min ${two(rest)} s` };
}

function two(count: number): string {
  return String(count).padStart(2, "0");
}
