/** What the server refused, and what somebody at the screen can do about it. */

/** A refusal of the server: the error envelope of protocol section 1, and what its headers add. */
export class ApiError extends Error {
  constructor(
    /** The HTTP status; 0 if no answer came. */
    readonly status: number,
    /** UPPER_SNAKE; every one is in the reference of errors. */
    readonly code: string,
    message: string,
    readonly detail?: Readonly<Record<string, unknown>> | undefined,
    /** Seconds to wait, if the server said so. */
    readonly retryAfter?: number | undefined,
    readonly requestId?: string | undefined,
  ) {
    super(message);
    this.name = "ApiError";
  }

  /** The field that the server found wrong, if it named one. */
  get field(): string | undefined {
    const named = this.detail?.field;
    return typeof named === "string" ? named : this.firstProblem;
  }

  /** Of a body that has another form, the server lists what is wrong: `{ where: "body.email", … }`. */
  private get firstProblem(): string | undefined {
    const problems: unknown = this.detail?.problems;
    const first: unknown = Array.isArray(problems) ? problems[0] : undefined;
    const where = typeof first === "object" && first !== null && "where" in first ? first.where : undefined;
    return typeof where === "string" && where.startsWith("body.") ? where.slice("body.".length) : undefined;
  }
}

/** What a page itself refuses; its message is for the person at the screen. */
export class PageError extends Error {
  override name = "PageError";
}

/** No answer came: nobody knows whether the request was carried out. */
export const UNREACHABLE = "UNREACHABLE";

const WHAT_TO_DO: Readonly<Record<string, string>> = {
  UNREACHABLE: "The server cannot be reached. Check your connection, then try again.",
  INVALID_CODE: "That code is wrong, was used, or is too old.",
  INVALID_CREDENTIALS: "Address and password do not belong together. Try again, or reset your password.",
  INVALID_PASSKEY: "That passkey could not be accepted here. Try again, or sign in with your password.",
  CAPTCHA_FAILED: "The check before sending did not succeed. Try again.",
  NOT_SIGNED_IN: "You are no longer signed in. Sign in again, then repeat this.",
  OWNER_SUSPENDED: "Your account is suspended. Ask the operator of this server.",
  STEP_UP_REQUIRED: "Prove first that it is you, then repeat this.",
  CSRF_FAILED: "This page is out of date. Reload it, then try again.",
  IDEMPOTENCY_KEY_IN_USE: "Your first try is still being worked on. Wait a moment, then try again.",
  NOT_FOUND: "This is not there, or not yours.",
  BINDING_NOT_FOUND: "This request was answered or has expired. Go back to the site and start again.",
  BODY_TOO_LARGE: "That is too large to be sent.",
  UNAVAILABLE: "The server cannot answer right now. Try again in a moment.",
};

/** Other words than the usual ones for what is refused at one place, by the code of the refusal. */
export type Words = Readonly<Record<string, string>>;

/** Where codes come from decides what to do about one that is refused. */
export const MAILED_CODE: Words = {
  INVALID_CODE: "That code is wrong, was used, or is too old. Type the newest one, or ask for another.",
};
export const AUTHENTICATOR_CODE: Words = {
  INVALID_CODE: "That code is wrong, or was used. Type the next one that your authenticator shows.",
};
export const RECOVERY_CODE: Words = {
  INVALID_CODE: "This is none of the codes that you have left. Each works once; take another one from your list.",
};

/** One or two sentences for the person at the screen: what happened and what to do; `here` goes before the usual words. */
export function explain(error: unknown, here: Words = {}): string {
  if (error instanceof PageError) {
    return error.message;
  }
  if (!(error instanceof ApiError)) {
    return "Something went wrong on this page. Reload it, then try again.";
  }
  if (error.code === "RATE_LIMIT_EXCEEDED") {
    return `Too many tries. Wait ${duration(error.retryAfter ?? 60)}, then try again.`;
  }
  if (error.status >= 500 && error.code !== "UNAVAILABLE") {
    const id = error.requestId === undefined ? "" : ` and name this request: ${error.requestId}`;
    return `The server made a mistake. Try again; if it stays, tell its operator${id}.`;
  }
  return here[error.code] ?? WHAT_TO_DO[error.code] ?? error.message;
}

function duration(seconds: number): string {
  if (seconds < 90) {
    return seconds === 1 ? "a second" : `${seconds} seconds`;
  }
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} minutes` : `${Math.ceil(minutes / 60)} hours`;
}
