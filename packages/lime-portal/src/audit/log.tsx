"use client";

import { useState } from "react";

import type { Pages } from "@/api/hooks";
import type { AuditEntry } from "@/api/types";
import { matching, type Reader } from "@/lib/audit";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { PagedList } from "@/ui/list";
import { Empty } from "@/ui/page";
import { FullEntry } from "./entry";

/** Somebody's log, newest first, with a search of what is shown. */
export function AuditLog({ pages, reader }: { pages: Pages<AuditEntry>; reader: Reader }) {
  const [query, setQuery] = useState("");
  const found = pages.items === undefined ? undefined : matching(pages.items, query, reader);
  const shown: Pages<AuditEntry> = { ...pages, items: found };
  return (
    <div className="grid gap-4">
      <Field
        label="Search what is shown"
        hint="Words, ids, addresses or request ids."
        type="search"
        value={query}
        onChange={setQuery}
      />
      <p role="status" className="text-sm text-muted">
        {found === undefined || query.trim() === "" ? "Newest first." : tally(found.length, pages)}
      </p>
      <PagedList
        pages={shown}
        what="entries"
        empty={query.trim() === "" ? <Nothing /> : <NoMatch pages={pages} />}
        keyOf={(entry) => entry.entry_id}
      >
        {(entry) => <FullEntry entry={entry} reader={reader} />}
      </PagedList>
    </div>
  );
}

function tally(found: number, { items, more }: Pages<AuditEntry>): string {
  return `${found} of the ${items?.length ?? 0} entries that are loaded${more ? "; there are older ones" : ""}.`;
}

function Nothing() {
  return <Empty title="Nothing has happened yet">Sign-ins, changes and what sites did will be listed here.</Empty>;
}

function NoMatch({ pages }: { pages: Pages<AuditEntry> }) {
  return (
    <Empty
      title="No entry that is loaded matches"
      action={
        pages.more ? (
          <Button kind="plain" busy={pages.loadingMore} onClick={pages.loadMore}>
            Load older entries
          </Button>
        ) : undefined
      }
    >
      Try fewer words{pages.more ? ", or load older entries" : ""}.
    </Empty>
  );
}
