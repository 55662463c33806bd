"use client";

import { useMe } from "@/session/session";
import { Page } from "@/ui/page";

export default function Overview() {
  const { me } = useMe();
  return (
    <Page title="Overview" lead={`Welcome, ${me.email}.`}>
      <p />
    </Page>
  );
}
