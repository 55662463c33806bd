/** Whether an agent may have access tokens for MCP servers. */

import type { Agent } from "@/api/types";

const MCP = "oauth:mcp";

export function mayOpenMcp({ capabilities }: Pick<Agent, "capabilities">): boolean {
  return capabilities.includes(MCP);
}

/** The capabilities, with that one or without it. */
export function withMcp(capabilities: readonly string[], may: boolean): string[] {
  return [...capabilities.filter((one) => one !== MCP), ...(may ? [MCP] : [])];
}
