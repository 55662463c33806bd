"use client";

import { call } from "@/api/client";
import { useApi, usePages, type Loaded } from "@/api/hooks";
import type { Agent, AgentKeys, HeldToken, ListOf, LoginRecord } from "@/api/types";
import { useAwake } from "@/lib/awake";
import { Danger } from "@/things/danger";
import { LoginHistory, READ_EVERY } from "@/things/history";
import { AGENT, apiOf } from "@/things/kinds";
import { PublicKeys } from "@/things/keys";
import { mayOpenMcp, withMcp } from "@/things/mcp";
import { isOnItsWay, One } from "@/things/one";
import { useOptimistic } from "@/things/optimistic";
import { Profile } from "@/things/profile";
import { AGENT_CODE, AGENT_INSTALL, AGENT_MCP, AGENT_TRY, apiBase, settings } from "@/things/snippets";
import { Standing } from "@/things/standing";
import { Tokens } from "@/things/tokens";
import { Copyable, Snippet } from "@/ui/copy";
import { Switch } from "@/ui/field";
import { LoadingPage } from "@/ui/loading";
import { Notice, Problem } from "@/ui/notice";
import { Page, Section } from "@/ui/page";
import { Time } from "@/ui/time";

export default function AgentPage() {
  return <One kind={AGENT}>{(id) => <OneAgent id={id} />}</One>;
}

function OneAgent({ id }: { id: string }) {
  const path = apiOf(AGENT, id);
  const awake = useAwake();
  const agent = useApi<Agent>(path);
  const tokens = useApi<ListOf<HeldToken>>(`${path}/tokens`);
  const keys = useApi<AgentKeys>(`${path}/keys`);
  const logins = usePages<LoginRecord>(`${path}/logins`, { every: awake ? READ_EVERY : 0 });
  if (agent.data === undefined) {
    return agent.error === undefined ? (
      <LoadingPage what="the agent" />
    ) : (
      <Page title="Agent">
        <Problem error={agent.error} onRetry={() => void agent.mutate()} />
      </Page>
    );
  }
  // All of it at once: what came later would push away what is being read.
  const parts = [[tokens.data, tokens.error], [keys.data, keys.error], [logins.items, logins.error]];
  if (parts.some(([data, error]) => isOnItsWay(data, error))) {
    return <LoadingPage what="the agent" />;
  }
  const { display_name: name, active, suspended, created_at: made, last_used_at: used } = agent.data;
  return (
    <Page
      title={name}
      lead={
        <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <Standing active={active} suspended={suspended} />
          <span>
            Made <Time at={made} />, last used <Time at={used} />
          </span>
        </span>
      }
    >
      {suspended ? (
        <Notice tone="bad">
          The operator of this server has suspended this agent: it is refused everywhere. Ask them why; you cannot lift
          it yourself.
        </Notice>
      ) : null}
      <LoginHistory kind={AGENT} pages={logins} />
      <Access agent={agent.data} mutate={agent.mutate} />
      <Tokens kind={AGENT} id={id} tokens={tokens} />
      <PublicKeys id={id} keys={keys} />
      <Profile kind={AGENT} id={id} thing={agent.data} mutate={agent.mutate} />
      <Use id={id} mcp={mayOpenMcp(agent.data)} />
      <Danger kind={AGENT} id={id} name={name} />
    </Page>
  );
}

function Access({ agent, mutate }: { agent: Agent; mutate: Loaded<Agent>["mutate"] }) {
  const change = useOptimistic<Agent>(mutate);
  const path = apiOf(AGENT, agent.agent_id);
  return (
    <Section title="What it may do">
      <Switch
        label="Switched on"
        hint="Off, it is refused everywhere at once. Its tokens are kept."
        on={agent.active}
        onChange={(active) =>
          void change.run({ ...agent, active }, () => call<Agent>(path, { method: "PATCH", body: { active } }))
        }
      />
      <Switch
        label="May open MCP servers"
        hint="It can get access tokens for tools that speak the Model Context Protocol (oauth:mcp)."
        on={mayOpenMcp(agent)}
        onChange={(may) => {
          const capabilities = withMcp(agent.capabilities, may);
          void change.run({ ...agent, capabilities }, () =>
            call<Agent>(`${path}/capabilities`, { method: "PUT", body: { capabilities } }),
          );
        }}
      />
      <Problem error={change.error} />
    </Section>
  );
}

function Use({ id, mcp }: { id: string; mcp: boolean }) {
  return (
    <Section title="Use it" lead="Install the client, tell it who it is, and see that it works.">
      <Copyable text={AGENT_INSTALL} what="the command that installs the client" />
      <Snippet what="settings" code={`${settings(AGENT.variable, apiBase(), "at_…")}\n${AGENT_TRY}`} />
      <p className="text-muted">Put the token in the place of at_…; if it is lost, rotate it. The agent&apos;s id:</p>
      <Copyable text={id} what="the agent's id" />
      <p className="text-muted">This program logs in. A site hands over the id of a login request, by any channel:</p>
      <Snippet what="program of an agent" code={AGENT_CODE} />
      <p className="text-muted">
        {mcp
          ? "These commands list the tools of an MCP server, and use one:"
          : "Once it may open MCP servers, these commands list the tools of one, and use one:"}
      </p>
      <Snippet what="commands for MCP servers" code={AGENT_MCP} />
    </Section>
  );
}
