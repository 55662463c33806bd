"use client";

import { BASE } from "@/api/client";
import { usePages } from "@/api/hooks";
import type { AuditEntry } from "@/api/types";
import { AuditLog } from "@/audit/log";
import { useMe } from "@/session/session";
import { DownloadLink } from "@/ui/button";
import { Page } from "@/ui/page";

export default function Audit() {
  const { me } = useMe();
  const pages = usePages<AuditEntry>("/foundation/audit");
  return (
    <Page
      title="Audit log"
      lead="Who did what in your name, or to what is yours. Entries are chained by hashes, and none is ever changed."
      action={<DownloadLink href={`${BASE}/foundation/audit/export`}>Export as JSON lines</DownloadLink>}
    >
      <AuditLog pages={pages} reader={{ owner: me.user_id, viewer: me.user_id }} />
    </Page>
  );
}
