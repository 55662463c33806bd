/** Which field of a form a refusal is about. */

import { ApiError, explain, type Words } from "@/api/errors";

/** What to say at the field `name`, in the words of its place; nothing if `error` is about something else. */
export function errorAt(name: string, error: unknown, here?: Words): string | undefined {
  return error instanceof ApiError && fieldOf(error) === name ? explain(error, here) : undefined;
}

/** `error`, unless one of the fields `names` shows it already. */
export function errorBeside(names: readonly string[], error: unknown): unknown {
  return error instanceof ApiError && names.includes(fieldOf(error) ?? "") ? undefined : error;
}

function fieldOf(error: ApiError): string | undefined {
  switch (error.code) {
    case "WEAK_PASSWORD":
      return "password";
    case "INVALID_CODE":
      return "code";
    default:
      return error.field;
  }
}
