"use client";

import { Answering } from "@/connect/answering";
import { useQuery } from "@/lib/use-query";
import { SignedIn } from "@/session/session";
import { StepUpDialog } from "@/session/step-up";
import { Card } from "@/ui/card";
import { Loading } from "@/ui/loading";

const TITLE = "Connect an agent";

/** Where a site's `connect_url` leads: no menu, one question. */
export default function Connect() {
  const id = useQuery("id");
  return (
    <SignedIn frame={(content) => <Card title={TITLE}>{content}</Card>}>
      <Card title={TITLE}>
        <StepUpDialog>{id === undefined ? <Loading what="the request" /> : <Answering id={id ?? ""} />}</StepUpDialog>
      </Card>
    </SignedIn>
  );
}
