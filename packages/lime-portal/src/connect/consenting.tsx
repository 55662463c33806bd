"use client";

/** A program asks to open MCP servers as one of the owner's agents; the owner answers. */

import { useState, type ReactNode } from "react";

import { call } from "@/api/client";
import { ApiError } from "@/api/errors";
import { useApi } from "@/api/hooks";
import type { ConsentQuestion, GoingBack } from "@/api/types";
import { clientAddress, destination, doubtAbout, requestOf, spell } from "@/lib/consent";
import { newKey } from "@/lib/keys";
import { useAction } from "@/session/use-action";
import { Button, ButtonLink } from "@/ui/button";
import { Loading } from "@/ui/loading";
import { Notice, Problem } from "@/ui/notice";
import { Facts } from "@/ui/page";
import { AgentPicker, mayAct, useAgents } from "./agent-picker";
import { ClientStanding } from "./client-standing";
import { Going } from "./going";
import { Who } from "./who";

const CONSENT = "/modules/oauth/consent";

/** `query` is the whole authorization request. Nothing is kept of it: every step sends it again. */
export function Consenting({ query }: { query: string }) {
  const [going, setGoing] = useState<{ to: string; host: string }>();
  // Once it is answered there is nothing to read any more.
  const { data: question, error, mutate } = useApi<ConsentQuestion>(
    query === "" || going !== undefined ? null : CONSENT + query,
  );
  if (going !== undefined) {
    return <Going to={going.to} host={going.host} />;
  }
  if (query === "") {
    return <Unusable>It is empty.</Unusable>;
  }
  if (error instanceof ApiError && error.status === 400) {
    return <Unusable>{error.message}</Unusable>;
  }
  if (question === undefined) {
    return error === undefined ? (
      <Loading what="the request" />
    ) : (
      <Problem error={error} onRetry={() => void mutate()} />
    );
  }
  return (
    <Question
      query={query}
      question={question}
      onAnswer={(to) => {
        setGoing({ to, host: destination(question) });
      }}
    />
  );
}

function Question({
  query, question, onAnswer,
}: {
  query: string;
  question: ConsentQuestion;
  onAnswer: (to: string) => void;
}) {
  const { client, resource, resource_host, scopes, remembered_agent_id, expires_in } = question;
  const agents = useAgents();
  const [picked, setPicked] = useState<string>();
  const [missing, setMissing] = useState(false);
  const [anew, setAnew] = useState(false);
  // One for each agent that may be picked: the same request sent again is answered as before.
  const [key] = useState(newKey);
  // Nobody is picked who cannot be seen, and nobody who can act no longer.
  const wanted = picked ?? remembered_agent_id;
  const agent = agents.items?.find((one) => one.agent_id === wanted && mayAct(one, true));
  const again = !anew && picked === undefined && agent !== undefined;
  const request = requestOf(query);
  function leave({ redirect_to }: GoingBack) {
    const to = clientAddress(redirect_to);
    onAnswer(to);
    window.location.assign(to);
  }
  const allow = useAction(async (agentId: string) => {
    leave(
      await call<GoingBack>(CONSENT, {
        method: "POST",
        body: { request, agent_id: agentId },
        idempotencyKey: `${key}.${agentId}`,
      }),
    );
  });
  const refuse = useAction(async () => {
    leave(await call<GoingBack>(`${CONSENT}/refuse`, { method: "POST", body: { request } }));
  });
  const busy = allow.busy || refuse.busy;
  if (agents.items === undefined && agents.error === undefined) {
    return <Loading what="the request" />;
  }
  const doubt = doubtAbout(question);
  return (
    <>
      <div className="grid gap-2">
        <p>
          A program that calls itself <strong className="wrap-anywhere"><bdi>{client.name}</bdi></strong> asks to use{" "}
          <strong className="wrap-anywhere">{resource_host ?? "MCP servers"}</strong> as one of your agents.
        </p>
        <p>
          <ClientStanding client={client} />
        </p>
      </div>
      {doubt === undefined ? null : <Notice tone="warn">{doubt}</Notice>}
      {resource === null ? (
        <Notice tone="warn">
          It does not say for which server. With this it may use any MCP server as your agent, and chooses which.
        </Notice>
      ) : null}
      <Facts
        facts={[
          ["Server", resource === null ? "any" : <Address key="server">{resource}</Address>],
          ...(client.document_url === null
            ? []
            : ([["Described at", <Address key="document">{client.document_url}</Address>]] as const)),
          ["You go back to", <Address key="back">{destination(question)}</Address>],
          ["It lasts", `at most ${spell(expires_in)}, then it has to ask again`],
        ]}
      />
      <section className="grid gap-2">
        <h2 className="font-semibold">What it may do</h2>
        <ul className="grid list-disc gap-1 pl-5">
          {scopes.map(({ scope, meaning }) => (
            <li key={scope}>
              {meaning} <code className="font-mono text-sm break-all text-muted">{scope}</code>
            </li>
          ))}
        </ul>
        {again ? null : (
          <p className="text-sm text-muted">
            It gets neither your password nor the token of the agent. You can take this back at any time.
          </p>
        )}
      </section>
      {again ? (
        <div className="grid gap-2">
          <p>
            Acts as <strong className="wrap-anywhere">{agent.display_name}</strong>, as you allowed before.
          </p>
          <div>
            <Button
              kind="quiet"
              className="-ml-4"
              onClick={() => {
                setAnew(true);
              }}
            >
              Pick another agent
            </Button>
          </div>
        </div>
      ) : (
        <AgentPicker
          asker="program"
          mcp
          picked={agent?.agent_id}
          missing={missing}
          onPick={(one) => {
            setMissing(false);
            setPicked(one);
          }}
        />
      )}
      <Problem error={allow.error ?? refuse.error} />
      <div className="flex flex-wrap gap-3">
        <Button
          busy={busy}
          onClick={() => {
            refuse.clear();
            if (agent === undefined) {
              setMissing(true);
            } else {
              void allow.run(agent.agent_id);
            }
          }}
        >
          Allow
        </Button>
        <Button
          kind="plain"
          busy={busy}
          onClick={() => {
            allow.clear();
            void refuse.run();
          }}
        >
          Refuse
        </Button>
      </div>
      <Who />
    </>
  );
}

function Address({ children }: { children: ReactNode }) {
  return <span className="wrap-anywhere">{children}</span>;
}

function Unusable({ children }: { children: ReactNode }) {
  return (
    <>
      <Notice tone="bad">
        <p className="font-medium">This request for access cannot be used.</p>
        <p className="break-words">{children}</p>
      </Notice>
      <p>
        Nothing was allowed. Go back to the program that sent you here and begin again there. If this page returns, tell
        its developer what it says.
      </p>
      <div>
        <ButtonLink kind="plain" href="/grants/">
          See what you allowed
        </ButtonLink>
      </div>
    </>
  );
}
