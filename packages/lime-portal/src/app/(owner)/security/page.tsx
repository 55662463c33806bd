"use client";

import { useState } from "react";

import { PasskeySection } from "@/access/passkey-section";
import { PasswordSection } from "@/access/password-section";
import { RecoveryCodesDialog } from "@/access/recovery-codes";
import { RecoverySection } from "@/access/recovery-section";
import { SessionSection } from "@/access/session-section";
import { TotpSection } from "@/access/totp-section";
import { usePages } from "@/api/hooks";
import type { Session } from "@/api/types";
import { Page } from "@/ui/page";

export default function Security() {
  const sessions = usePages<Session>("/foundation/sessions");
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  return (
    <Page title="Sign-in and sessions" lead="How you sign in, and where you are signed in.">
      <PasswordSection onChanged={() => void sessions.reload()} />
      <TotpSection onCodes={setCodes} />
      <PasskeySection onCodes={setCodes} />
      <RecoverySection onCodes={setCodes} />
      <SessionSection sessions={sessions} />
      <RecoveryCodesDialog
        codes={codes}
        onKept={() => {
          setCodes(null);
          // The button that led here may be gone; a keyboard goes on from the top of the page.
          document.getElementById("content")?.focus();
        }}
      />
    </Page>
  );
}
