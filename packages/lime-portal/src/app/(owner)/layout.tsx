import type { ReactNode } from "react";

import { OwnerShell } from "@/session/owner-shell";

export default function OwnerLayout({ children }: { children: ReactNode }) {
  return <OwnerShell>{children}</OwnerShell>;
}
