"use client";

import { useEffect, useState } from "react";

import { BASE } from "@/api/client";
import type { KycDocument } from "@/api/types";
import { inWords } from "@/lib/documents";
import { useStepUp } from "@/session/step-up";
import { Button } from "@/ui/button";
import { Section } from "@/ui/page";

/** A proof counts for ten minutes (`foundation/sessions.py`); links are shown for a little less. */
const OPEN_FOR = 9 * 60 * 1000;

/**
 * The documents of a case. A browser follows a link without being able to ask for a step-up, so that
 * comes first.
 */
export function Documents({ path, documents }: { path: string; documents: readonly KycDocument[] }) {
  const ask = useStepUp();
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (!open) {
      return undefined;
    }
    const timer = setTimeout(() => {
      setOpen(false);
    }, OPEN_FOR);
    return () => {
      clearTimeout(timer);
    };
  }, [open]);
  if (documents.length === 0) {
    return <Section title="Documents" lead="None, or they were deleted some time after the decision." />;
  }
  return (
    <Section title="Documents" lead="Every one that you open is written to the owner's log and to yours.">
      <ul className="divide-y divide-line">
        {documents.map(({ number, name, content_type, size }) => (
          <li key={number} className="flex min-h-11 flex-wrap items-center gap-x-3 py-2">
            {open ? (
              <a href={`${BASE}${path}/documents/${number}`} target="_blank" rel="noopener noreferrer" className="break-all">
                {name}
                <span className="sr-only"> (is saved as a file)</span>
              </a>
            ) : (
              <span className="break-all">{name}</span>
            )}
            <span className="text-sm text-muted">
              {content_type}, {inWords(size)}
            </span>
          </li>
        ))}
      </ul>
      {open ? (
        <p role="status" className="text-sm text-muted">
          The documents can be opened for a few minutes now.
        </p>
      ) : (
        <div>
          <Button
            kind="plain"
            onClick={() => {
              void ask?.().then(setOpen);
            }}
          >
            Prove that it is you, and open them
          </Button>
        </div>
      )}
    </Section>
  );
}
