"use client";

/** Who is signed in, for every page behind the sign-in. */

import { createContext, use, useEffect, type ReactNode } from "react";

import { ApiError } from "@/api/errors";
import { useApi, type Loaded } from "@/api/hooks";
import type { Me } from "@/api/types";
import { signInPage } from "@/lib/next-page";
import { Problem } from "@/ui/notice";
import { Loading } from "@/ui/loading";

export const ME = "/foundation/users/me";

const Current = createContext<{ me: Me; reload: Loaded<Me>["mutate"] } | null>(null);

/** The owner who is signed in. Only below {@link SignedIn}. */
export function useMe(): { me: Me; reload: Loaded<Me>["mutate"] } {
  const current = use(Current);
  if (current === null) {
    throw new Error("useMe needs <SignedIn> around it");
  }
  return current;
}

/**
 * Shows `children` to an owner who is signed in, and the sign-in page to everybody else.
 *
 * Until it is known who it is, `frame` gives a place to what is shown instead.
 */
export function SignedIn({
  children, frame = (content) => content,
}: {
  children: ReactNode;
  frame?: (content: ReactNode) => ReactNode;
}) {
  const { data: me, error, mutate } = useApi<Me>(ME);
  const signedOut = error instanceof ApiError && error.status === 401;
  useEffect(() => {
    if (signedOut) {
      window.location.replace(signInPage(window.location.pathname + window.location.search));
    }
  }, [signedOut]);
  if (me !== undefined && !signedOut) {
    return <Current value={{ me, reload: mutate }}>{children}</Current>;
  }
  if (error !== undefined && !signedOut) {
    return frame(<Problem error={error} onRetry={() => void mutate()} />);
  }
  return frame(<Loading what="your account" />);
}
