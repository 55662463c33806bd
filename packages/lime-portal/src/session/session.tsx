"use client";

/** Who is signed in, for every page behind the sign-in. */

import { createContext, use, useEffect, type ReactNode } from "react";
import { SWRConfig } from "swr";

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
  const signedOut = isSignedOut(error);
  useEffect(() => {
    if (signedOut) {
      window.location.replace(signInPage(window.location.pathname + window.location.search));
    }
  }, [signedOut]);
  if (me !== undefined && !signedOut) {
    // The session may end anywhere, and whatever is read next notices: then it is asked who is signed in.
    const onError = (failure: unknown) => {
      if (isSignedOut(failure)) {
        void mutate();
      }
    };
    return (
      <SWRConfig value={{ onError }}>
        <Current value={{ me, reload: mutate }}>{children}</Current>
      </SWRConfig>
    );
  }
  if (error !== undefined && !signedOut) {
    return frame(<Problem error={error} onRetry={() => void mutate()} />);
  }
  return frame(<Loading what="your account" />);
}

function isSignedOut(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401;
}
