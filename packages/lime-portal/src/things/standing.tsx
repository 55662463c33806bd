import { Badge } from "@/ui/notice";

/** Whether an agent or site is let in. */
export function Standing({ active, suspended = false }: { active: boolean; suspended?: boolean }) {
  if (suspended) {
    return <Badge tone="bad">Suspended</Badge>;
  }
  return active ? <Badge tone="good">On</Badge> : <Badge tone="warn">Off</Badge>;
}
