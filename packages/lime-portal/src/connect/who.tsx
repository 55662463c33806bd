"use client";

import { call } from "@/api/client";
import { signInPage } from "@/lib/next-page";
import { useMe } from "@/session/session";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Problem } from "@/ui/notice";

/** Who answers, on a page without a menu; and a way to answer as somebody else. */
export function Who() {
  const { me } = useMe();
  const change = useAction(async () => {
    await call("/foundation/users/logout", { method: "POST" });
    window.location.assign(signInPage(window.location.pathname + window.location.search));
  });
  return (
    <div className="grid gap-2 border-t border-line pt-4 text-sm text-muted">
      <p className="break-words">Signed in as {me.email}.</p>
      <Problem error={change.error} />
      <div>
        <Button kind="quiet" busy={change.busy} className="-ml-4" onClick={() => void change.run()}>
          Use another account
        </Button>
      </div>
    </div>
  );
}
