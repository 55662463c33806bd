"use client";

import Link from "next/link";
import { useState } from "react";

import { usePages, type Pages } from "@/api/hooks";
import type { KnownOwner, KycCase, ReviewedCase } from "@/api/types";
import { CaseState } from "@/kyc/case-state";
import { OperatorsOnly } from "@/operator/operators-only";
import { Button } from "@/ui/button";
import { Choice, Field } from "@/ui/field";
import { PagedList } from "@/ui/list";
import { Loading } from "@/ui/loading";
import { Badge } from "@/ui/notice";
import { Empty, Page, Section } from "@/ui/page";
import { Time } from "@/ui/time";

export default function Operator() {
  return (
    <OperatorsOnly>
      <Page
        title="Operator console"
        lead="Suspend and restore, review who somebody is, and read logs. All of it is written to the logs of both sides."
      >
        <Console />
      </Page>
    </OperatorsOnly>
  );
}

function Console() {
  const [state, setState] = useState("SUBMITTED");
  const [query, setQuery] = useState("");
  const cases = usePages<ReviewedCase>(`/foundation/operator/kyc/cases?state=${state}`);
  const owners = usePages<KnownOwner>(`/foundation/operator/owners?query=${encodeURIComponent(query)}`);
  const [shown, setShown] = useState(false);
  // At first both at once: the one below would be pushed around by the one above.
  const here = ({ items, error }: Pages<unknown>) => items !== undefined || error !== undefined;
  if (!shown) {
    if (!here(cases) || !here(owners)) {
      return <Loading what="the console" />;
    }
    setShown(true);
  }
  return (
    <>
      <Cases pages={cases} state={state} onState={setState} />
      <Owners pages={owners} onQuery={setQuery} />
    </>
  );
}

const STATES: readonly { value: KycCase["state"]; label: string }[] = [
  { value: "SUBMITTED", label: "Waiting for a decision" },
  { value: "OPEN", label: "Begun, not handed in yet" },
  { value: "APPROVED", label: "Approved" },
  { value: "REJECTED", label: "Rejected" },
  { value: "EXPIRED", label: "Expired" },
];

function Cases({
  pages, state, onState,
}: {
  pages: Pages<ReviewedCase>;
  state: string;
  onState: (state: string) => void;
}) {
  return (
    <Section title="Identity cases">
      <Choice label="Which cases" value={state} options={STATES} onChange={onState} />
      <PagedList
        pages={pages}
        what="cases"
        empty={
          state === "SUBMITTED" ? (
            <Empty title="Nobody waits">When an owner sends documents, the case is listed here for a decision.</Empty>
          ) : (
            <Empty title="There are none">Choose other cases above.</Empty>
          )
        }
        keyOf={({ case_id }) => case_id}
      >
        {(one) => (
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <Link href={`/operator/case/?id=${one.case_id}`} className="py-1">
              Level {one.target_level} for owner <span className="font-mono break-all">{one.user_id}</span>
            </Link>
            <CaseState state={one.state} />
            <span className="text-sm text-muted">
              sent <Time at={one.created_at} />
            </span>
          </div>
        )}
      </PagedList>
    </Section>
  );
}

function Owners({ pages, onQuery }: { pages: Pages<KnownOwner>; onQuery: (query: string) => void }) {
  const [typed, setTyped] = useState("");
  return (
    <Section title="Owners">
      <form
        role="search"
        className="flex flex-wrap items-end gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          onQuery(typed.trim());
        }}
      >
        <div className="min-w-0 grow basis-60">
          <Field
            label="Find an owner"
            hint="A part of the e-mail address, or the whole id."
            type="search"
            value={typed}
            onChange={setTyped}
            maxLength={254}
          />
        </div>
        <Button type="submit">Search</Button>
      </form>
      <PagedList
        pages={pages}
        what="owners"
        empty={<Empty title="No owner is called so">Try a shorter part of the address.</Empty>}
        keyOf={({ user_id }) => user_id}
      >
        {(owner) => (
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <Link href={`/operator/owner/?id=${owner.user_id}`} className="min-w-0 py-1 break-all">
              {owner.email}
            </Link>
            {owner.suspended ? <Badge tone="bad">suspended</Badge> : null}
            {owner.operator ? <Badge>operator</Badge> : null}
            <span className="text-sm text-muted">
              level {owner.kyc_level}, since <Time at={owner.created_at} />
            </span>
          </div>
        )}
      </PagedList>
    </Section>
  );
}
