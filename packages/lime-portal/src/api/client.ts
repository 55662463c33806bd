/** Calls to the server's API: same origin, cookies, envelopes (protocol section 1). */

import { ApiError, UNREACHABLE } from "./errors";

export const BASE = "/api/v1";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export type Call = {
  method?: Method;
  /** Sent as JSON. */
  body?: unknown;
  /** The first answer counts, however often the request is sent (protocol section 1). */
  idempotencyKey?: string;
};

/**
 * The data of the answer.
 *
 * `path` is relative to the API and starts with a slash; put what comes from elsewhere through
 * {@link segment}.
 *
 * @throws ApiError for every refusal, and with code `UNREACHABLE` if no answer came.
 */
export async function call<T>(path: string, { method = "GET", body, idempotencyKey }: Call = {}): Promise<T> {
  const headers = new Headers({ Accept: "application/json" });
  if (body !== undefined) {
    headers.set("Content-Type", "application/json");
  }
  if (idempotencyKey !== undefined) {
    headers.set("Idempotency-Key", idempotencyKey);
  }
  const csrf = method === "GET" ? undefined : cookie("lime_csrf");
  if (csrf !== undefined) {
    headers.set("X-CSRF-Token", csrf);
  }
  let response: Response;
  let text: string;
  try {
    response = await fetch(BASE + path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: "same-origin",
      redirect: "error",
      cache: "no-store",
    });
    text = await response.text();
  } catch {
    throw new ApiError(0, UNREACHABLE, "No answer came.");
  }
  return unwrap(response, text) as T;
}

/** A part of a path, quoted: an id from elsewhere must not become another path. */
export function segment(value: string): string {
  // A dot segment would be resolved away before it is sent, and quoting leaves dots as they are.
  return value === "." || value === ".." ? "-" : encodeURIComponent(value);
}

/** The value of a cookie that scripts may read. */
export function cookie(name: string, jar: string = document.cookie): string | undefined {
  for (const pair of jar.split("; ")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at) === name) {
      return pair.slice(at + 1);
    }
  }
  return undefined;
}

/**
 * The data in the envelope `text`.
 *
 * @throws ApiError if it holds a refusal, or cannot be read.
 */
export function unwrap(response: Response, text: string): unknown {
  const answer = parse(text);
  if (response.ok && answer?.ok === true) {
    return answer.data;
  }
  const retryAfter = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const error = record(answer?.error);
  throw new ApiError(
    response.status,
    typeof error?.code === "string" ? error.code : "UNREADABLE",
    typeof error?.message === "string" ? error.message : "The answer could not be read.",
    record(error?.detail),
    Number.isNaN(retryAfter) ? undefined : retryAfter,
    response.headers.get("X-Request-Id") ?? undefined,
  );
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return record(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
