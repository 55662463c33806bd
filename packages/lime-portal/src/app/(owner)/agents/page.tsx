"use client";

import { usePages } from "@/api/hooks";
import type { Agent } from "@/api/types";
import { Create } from "@/things/create";
import { AGENT } from "@/things/kinds";
import { Row } from "@/things/row";
import { AGENT_INSTALL } from "@/things/snippets";
import { Standing } from "@/things/standing";
import { Copyable } from "@/ui/copy";
import { PagedList } from "@/ui/list";
import { Empty, Page } from "@/ui/page";

export default function Agents() {
  const pages = usePages<Agent>(AGENT.api);
  return (
    <Page title="Agents" lead="Programs with an identity of their own. You answer for what they do." action={<NewAgent />}>
      <PagedList pages={pages} what="agents" empty={<NoAgents />} keyOf={(agent) => agent.agent_id}>
        {(agent) => (
          <Row
            kind={AGENT}
            id={agent.agent_id}
            name={agent.display_name}
            standing={<Standing active={agent.active} suspended={agent.suspended} />}
            lastUsed={agent.last_used_at}
          >
            {agent.description === null ? null : <p className="line-clamp-2 break-words">{agent.description}</p>}
          </Row>
        )}
      </PagedList>
    </Page>
  );
}

function NewAgent() {
  return (
    <Create
      kind={AGENT}
      button="New agent"
      nameHint="What sites are shown when it logs in."
      more={{ field: "description", label: "Description", hint: "What it does, in a sentence or two.", long: true }}
      next={<Install />}
    />
  );
}

function NoAgents() {
  return (
    <Empty title="No agent yet">
      <div className="grid gap-3">
        <p>
          An agent is a program that logs in to sites by itself: a crawler, a shopping assistant, a script that runs at
          night. It gets a token from you, and with it passports that sites can check. Make one, then install its
          client:
        </p>
        <Install />
      </div>
    </Empty>
  );
}

function Install() {
  return <Copyable text={AGENT_INSTALL} what="the command that installs the client" />;
}
