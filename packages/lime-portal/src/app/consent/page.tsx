"use client";

import { Consenting } from "@/connect/consenting";
import { useWholeQuery } from "@/lib/use-query";
import { SignedIn } from "@/session/session";
import { StepUpDialog } from "@/session/step-up";
import { Card } from "@/ui/card";
import { Loading } from "@/ui/loading";

const TITLE = "Allow access";

/** Where the authorization endpoint sends browsers, with the request it was sent: no menu, one question. */
export default function Consent() {
  const query = useWholeQuery();
  return (
    <SignedIn frame={(content) => <Card title={TITLE}>{content}</Card>}>
      <Card title={TITLE}>
        <StepUpDialog>
          {query === undefined ? <Loading what="the request" /> : <Consenting key={query} query={query} />}
        </StepUpDialog>
      </Card>
    </SignedIn>
  );
}
