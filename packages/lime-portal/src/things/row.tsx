"use client";

import Link from "next/link";
import type { ReactNode } from "react";

import type { Timestamp } from "@/api/types";
import { Time } from "@/ui/time";
import { Avatar } from "./avatar";
import { pageOf, type Kind } from "./kinds";

/** One of a list. */
export function Row({
  kind, id, name, standing, lastUsed, children,
}: {
  kind: Kind;
  id: string;
  name: string;
  standing: ReactNode;
  lastUsed: Timestamp | null;
  children?: ReactNode;
}) {
  return (
    <div className="flex items-start gap-4">
      <Avatar name={name} />
      <div className="grid min-w-0 flex-1 gap-1">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <Link href={pageOf(kind, id)} className="min-w-0 font-medium break-words">
            {name}
          </Link>
          {standing}
        </div>
        {children}
        <p className="text-sm text-muted">
          Last used <Time at={lastUsed} />
        </p>
      </div>
    </div>
  );
}
