import Link from "next/link";

import type { AuditEntry, Party } from "@/api/types";
import { details, sentence, type Reader } from "@/lib/audit";
import { Facts } from "@/ui/page";
import { Time } from "@/ui/time";

/** One entry of the log: a sentence, when, and from where. */
export function Entry({ entry, reader }: { entry: AuditEntry; reader: Reader }) {
  return (
    <div className="grid gap-1">
      <p className="min-w-0 break-words">{sentence(entry, reader)}</p>
      <p className="flex flex-wrap gap-x-3 text-sm text-muted">
        <Time at={entry.at} />
        {entry.address === null ? null : <span>from {entry.address}</span>}
      </p>
    </div>
  );
}

/** The same, with everything else it says behind a switch. */
export function FullEntry({ entry, reader }: { entry: AuditEntry; reader: Reader }) {
  const { actor, target } = entry;
  return (
    <div className="grid gap-1">
      <Entry entry={entry} reader={reader} />
      <details className="text-sm">
        <summary className="min-h-6 w-fit cursor-pointer py-1 text-muted hover:text-ink">
          Details<span className="sr-only"> of entry {entry.sequence}</span>
        </summary>
        <div className="mt-2 rounded-lg bg-raised p-4">
          <Facts
            facts={[
              ["Action", <Id key="action" text={entry.action} />],
              ["By", <Whom key="actor" party={actor} linked={false} />],
              ...(target === null
                ? []
                : [["To", <Whom key="target" party={target} linked={reader.owner === reader.viewer} />] as const]),
              ...details(entry.detail).map(([name, value]) => [name, <Id key={name} text={value} />] as const),
              ["Request", entry.request_id === null ? "none" : <Id key="request" text={entry.request_id} />],
              ["Number in the chain", entry.sequence],
              ["Hash", <Id key="hash" text={entry.hash} />],
            ]}
          />
        </div>
      </details>
    </div>
  );
}

const PAGES: Readonly<Record<string, string>> = { agent: "/agents/agent/", site: "/sites/site/" };

function Whom({ party, linked }: { party: Party; linked: boolean }) {
  const page = linked && Object.hasOwn(PAGES, party.kind) ? PAGES[party.kind] : undefined;
  return (
    <>
      {party.kind}{" "}
      {page === undefined ? (
        <Id text={party.id} />
      ) : (
        <Link href={`${page}?id=${encodeURIComponent(party.id)}`}>
          <Id text={party.id} />
        </Link>
      )}
    </>
  );
}

function Id({ text }: { text: string }) {
  return <code className="font-mono break-all">{text}</code>;
}
