/** A stream of server-sent events of our own API. */

import { BASE, unwrap } from "./client";
import { ApiError, UNREACHABLE } from "./errors";
import { EventParser } from "./sse";

/** The next events, perhaps none (something came, so the stream lives); null at its end. */
export type Read = () => Promise<string[] | null>;

/**
 * A reader of the stream at `path`, which is relative to the API. It ends with `signal`.
 *
 * @throws ApiError for a refusal, and with code `UNREACHABLE` if no answer came.
 */
export async function openStream(path: string, signal: AbortSignal): Promise<Read> {
  let response: Response;
  try {
    response = await fetch(BASE + path, {
      headers: { Accept: "text/event-stream" },
      credentials: "same-origin",
      redirect: "error",
      cache: "no-store",
      signal,
    });
  } catch {
    throw new ApiError(0, UNREACHABLE, "No answer came.");
  }
  if (!response.ok || response.body === null) {
    unwrap(response, await response.text());
    throw new ApiError(response.status, "UNREADABLE", "The answer could not be read.");
  }
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  return async () => {
    const { done, value } = await reader.read();
    return done ? null : parser.feed(decoder.decode(value, { stream: true }));
  };
}
