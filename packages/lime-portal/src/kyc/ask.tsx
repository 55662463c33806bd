"use client";

import { useState } from "react";

import { call } from "@/api/client";
import { ApiError } from "@/api/errors";
import type { KycCase } from "@/api/types";
import { ACCEPTED, inWords, LARGEST_CASE, LARGEST_DOCUMENT, MOST_DOCUMENTS, pack, problemWith, UnfitFile } from "@/lib/documents";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Choice, Files } from "@/ui/field";
import { Problem } from "@/ui/notice";
import { HIGHEST_LEVEL } from "./levels";

/** Opens a case. */
export function Ask({
  level, takesDocuments, onAsked,
}: {
  level: number;
  takesDocuments: boolean;
  onAsked: (opened: KycCase) => Promise<void>;
}) {
  const [target, setTarget] = useState(level + 1);
  const [files, setFiles] = useState<readonly File[]>([]);
  const [problem, setProblem] = useState<string>();
  const ask = useAction(async () => {
    // One after the other: a phone need not hold all of them twice at once.
    const documents = [];
    for (const file of takesDocuments ? files : []) {
      documents.push(await pack(file));
    }
    const body = { target_level: target, documents };
    await onAsked(await call<KycCase>("/foundation/kyc/cases", { method: "POST", body }));
  });
  const wrong = problem ?? aboutFiles(ask.error, files);
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        const found = takesDocuments ? problemWith(files) : undefined;
        ask.clear();
        setProblem(found);
        if (found === undefined) {
          void ask.run();
        }
      }}
    >
      <Choice
        label="Level to ask for"
        value={String(target)}
        options={Array.from({ length: HIGHEST_LEVEL - level }, (_, index) => {
          const one = String(level + 1 + index);
          return { value: one, label: `Level ${one}` };
        })}
        onChange={(value) => {
          setTarget(Number(value));
        }}
      />
      {takesDocuments ? (
        <>
          <Files
            label="Documents"
            hint={
              `PDF, JPEG or PNG. Up to ${MOST_DOCUMENTS} documents of ${inWords(LARGEST_DOCUMENT)} each, ` +
              `${inWords(LARGEST_CASE)} together. They are kept encrypted, and every look at one is written to your log.`
            }
            error={wrong}
            accept={ACCEPTED}
            multiple
            onChange={(chosen) => {
              ask.clear();
              setFiles(chosen);
              setProblem(chosen.length === 0 ? undefined : problemWith(chosen));
            }}
          />
          {files.length === 0 ? null : (
            <ul aria-label="Chosen files" className="grid gap-1 text-sm">
              {files.map((file, index) => (
                // Chosen anew as a whole, so a place is as good as a name, which may come twice.
                <li key={index} className="break-words">
                  {file.name} <span className="text-muted">({inWords(file.size)})</span>
                </li>
              ))}
            </ul>
          )}
        </>
      ) : (
        <p className="text-muted">A provider outside of this portal finds out who you are and tells us the result.</p>
      )}
      {wrong === undefined ? <Problem error={ask.error} /> : <p role="alert" className="sr-only">{wrong}</p>}
      <div>
        <Button type="submit" busy={ask.busy}>
          {ask.busy ? "Sending" : "Ask for this level"}
        </Button>
      </div>
    </form>
  );
}

/** What a failure says about a file, in a sentence that names it. */
function aboutFiles(error: unknown, files: readonly File[]): string | undefined {
  if (error instanceof UnfitFile) {
    return error.message;
  }
  if (!(error instanceof ApiError)) {
    return undefined;
  }
  const [field, index] = error.field?.split(".") ?? [];
  if (field !== "documents") {
    return undefined;
  }
  const file = files[Number(index)];
  return file === undefined ? error.message : `${file.name}: ${error.message}`;
}
