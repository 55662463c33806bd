"use client";

import { call } from "@/api/client";
import type { RecoveryCodes } from "@/api/types";
import { useMe } from "@/session/session";
import { Confirm } from "@/ui/confirm";
import { Notice } from "@/ui/notice";
import { Section } from "@/ui/page";

const FEW = 3;

/** Codes on paper, for when the second factor is gone. Only where there is one. */
export function RecoverySection({ onCodes }: { onCodes: (codes: string[]) => void }) {
  const { me, reload } = useMe();
  const { totp, passkeys, recovery_codes_left: left } = me.second_factor;
  if (!totp && passkeys.length === 0) {
    return null;
  }
  return (
    <Section title="Recovery codes" lead={`You have ${left} of 10 left. Each stands in once for your second factor.`}>
      {left > FEW ? null : (
        <Notice tone="warn">Few are left. Get new ones before you need them.</Notice>
      )}
      <div>
        <Confirm
          button="Get new recovery codes"
          kind="plain"
          title="Get new recovery codes?"
          confirm="Get them"
          work={async (key) => {
            const request = { method: "POST", idempotencyKey: key } as const;
            const made = await call<RecoveryCodes>("/foundation/users/recovery-codes", request);
            onCodes(made.recovery_codes);
            await reload();
          }}
        >
          <p>The codes that you have now are void from then on.</p>
        </Confirm>
      </div>
    </Section>
  );
}
