"use client";

import { CopyButton } from "@/ui/copy";
import { OnceDialog } from "@/ui/dialog";
import { Notice } from "@/ui/notice";

/** The recovery codes that the server tells only now; open while there are any. */
export function RecoveryCodesDialog({ codes, onKept }: { codes: readonly string[] | null; onKept: () => void }) {
  return (
    <OnceDialog open={codes !== null} title="Your recovery codes" onKept={onKept}>
      <Notice tone="warn">
        These codes are shown only now. Each lets you in once when your authenticator or passkey is gone. Keep them on
        paper or in a password manager, not on the same device. Earlier codes are void.
      </Notice>
      <ul aria-label="Recovery codes" className="grid gap-x-6 gap-y-1 font-mono sm:grid-cols-2">
        {(codes ?? []).map((code) => (
          <li key={code} className="select-all">
            {code}
          </li>
        ))}
      </ul>
      <div>
        <CopyButton text={(codes ?? []).join("\n")} what="recovery codes" />
      </div>
    </OnceDialog>
  );
}
