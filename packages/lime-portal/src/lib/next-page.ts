/** Where to go after signing in. */

/**
 * `unverified` if it is a page of ours, else the overview.
 *
 * It comes from the address bar, so it must not send anybody to another site: only an absolute path
 * of this origin is accepted, as the browser itself understands it.
 */
export function safeNext(unverified: string | null, origin: string): string {
  if (!unverified?.startsWith("/")) {
    return "/";
  }
  let url: URL;
  try {
    url = new URL(unverified, origin);
  } catch {
    return "/";
  }
  // "/.//elsewhere" is a path here, but "//elsewhere", what remains of it, would be another site's address.
  const ours = url.origin === origin && !url.pathname.startsWith("//") && !url.pathname.startsWith("/api/");
  return ours ? url.pathname + url.search : "/";
}

/** The sign-in page, which comes back to `path` (of this origin, with its query). */
export function signInPage(path: string): string {
  return path === "/" ? "/login/" : `/login/?next=${encodeURIComponent(path)}`;
}

/** `page` (one of ours, without a query), which goes on to `next` when it is done. */
export function withNext(page: string, next: string | null | undefined): string {
  return next === null || next === undefined || next === "" ? page : `${page}?next=${encodeURIComponent(next)}`;
}
