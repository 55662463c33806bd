import type { KycCase } from "@/api/types";
import { inWords } from "@/lib/documents";
import { Badge, type Tone } from "@/ui/notice";

const STATES: Readonly<Record<KycCase["state"], readonly [Tone, string]>> = {
  OPEN: ["warn", "begun"],
  SUBMITTED: ["warn", "under review"],
  APPROVED: ["good", "approved"],
  REJECTED: ["bad", "rejected"],
  EXPIRED: ["info", "expired"],
};

export function CaseState({ state }: { state: KycCase["state"] }) {
  const [tone, word] = STATES[state];
  return <Badge tone={tone}>{word}</Badge>;
}

/** Names and sizes. */
export function DocumentList({ documents }: { documents: KycCase["documents"] }) {
  return (
    <ul className="grid gap-1">
      {documents.map(({ number, name, size }) => (
        <li key={number} className="break-words">
          {name} <span className="text-muted">({inWords(size)})</span>
        </li>
      ))}
    </ul>
  );
}
