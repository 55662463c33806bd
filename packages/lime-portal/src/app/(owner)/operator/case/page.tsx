"use client";

import Link from "next/link";

import { segment } from "@/api/client";
import { useApi } from "@/api/hooks";
import type { ReviewedCase } from "@/api/types";
import { CaseState } from "@/kyc/case-state";
import { useQuery } from "@/lib/use-query";
import { Decide } from "@/operator/decide";
import { Documents } from "@/operator/documents";
import { OperatorsOnly } from "@/operator/operators-only";
import { useMe } from "@/session/session";
import { Loading } from "@/ui/loading";
import { Notice, Problem } from "@/ui/notice";
import { Facts, Page, Section } from "@/ui/page";
import { Time } from "@/ui/time";

export default function Case() {
  const id = useQuery("id");
  return (
    <OperatorsOnly>
      <Page title="Identity case" lead={<Link href="/operator/">Back to the console</Link>}>
        {id === undefined ? <Loading what="the case" /> : <Known id={id ?? ""} />}
      </Page>
    </OperatorsOnly>
  );
}

function Known({ id }: { id: string }) {
  const { me } = useMe();
  const path = `/foundation/operator/kyc/cases/${segment(id)}`;
  const { data: one, error, mutate } = useApi<ReviewedCase>(path);
  if (one === undefined) {
    return error === undefined ? <Loading what="the case" /> : <Problem error={error} onRetry={() => void mutate()} />;
  }
  const own = one.user_id === me.user_id;
  return (
    <>
      <Section title={`Level ${one.target_level} is asked for`} action={<CaseState state={one.state} />}>
        <Facts
          facts={[
            [
              "Owner",
              <Link key="owner" href={`/operator/owner/?id=${one.user_id}`} className="font-mono text-sm break-all">
                {one.user_id}
              </Link>,
            ],
            ["Provider", one.provider],
            ["Sent", <Time key="sent" at={one.created_at} />],
            one.decided_at === null
              ? ["Expires", <Time key="expires" at={one.expires_at} />]
              : ["Decided", <Time key="decided" at={one.decided_at} />],
            ...(one.decided_by === null ? [] : [["Decided by", one.decided_by] as const]),
            ...(one.level === null ? [] : [["Granted", `level ${one.level}`] as const]),
            ...(one.reason === null ? [] : [["Reason", one.reason] as const]),
          ]}
        />
      </Section>
      <Documents path={path} documents={one.documents} />
      {one.state !== "SUBMITTED" ? null : own ? (
        <Notice>This case is your own. Another operator has to decide it.</Notice>
      ) : (
        <Decide path={path} highest={one.target_level} onDecided={(decided) => mutate(decided, { revalidate: false })} />
      )}
    </>
  );
}
