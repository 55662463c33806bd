/** Where on a form a refusal belongs. */

import { ApiError, explain } from "@/api/errors";

/** What to say at the field `name`, if the refusal is about it. */
export function fieldError(error: unknown, name: string): string | undefined {
  return fieldOf(error) === name ? explain(error) : undefined;
}

/** The refusal, unless it is said at one of these fields. */
export function otherError(error: unknown, names: readonly string[]): unknown {
  const field = fieldOf(error);
  return field !== undefined && names.includes(field) ? undefined : error;
}

function fieldOf(error: unknown): string | undefined {
  return error instanceof ApiError ? error.field : undefined;
}
