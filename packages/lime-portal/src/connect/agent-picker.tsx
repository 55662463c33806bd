"use client";

import { useEffect, useId, useRef, useState } from "react";

import { call } from "@/api/client";
import { usePages, type Pages } from "@/api/hooks";
import type { Agent, RegisteredAgent } from "@/api/types";
import { fieldError, otherError } from "@/lib/field-error";
import { newKeys } from "@/lib/keys";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { classes } from "@/ui/classes";
import { ShownOnce } from "@/ui/copy";
import { OnceDialog } from "@/ui/dialog";
import { Field, Switch } from "@/ui/field";
import { Loading } from "@/ui/loading";
import { Problem } from "@/ui/notice";
import { AGENT, apiOf } from "@/things/kinds";
import { mayOpenMcp, withMcp } from "@/things/mcp";

/** The agents among which an owner picks. */
export function useAgents(): Pages<Agent> {
  return usePages<Agent>("/core/agents?limit=100");
}

/** Whether an agent can be picked. */
export function mayAct(agent: Agent, mcp: boolean): boolean {
  return agent.active && !agent.suspended && (!mcp || mayOpenMcp(agent));
}

/** One of the owner's agents that may act, or a new one, made without losing the request. */
export function AgentPicker({
  asker, mcp = false, picked, missing, onPick,
}: {
  /** Who waits for the answer. */
  asker: "site" | "program";
  /** Only those that may open MCP servers can be picked; the others may be let, on the spot. */
  mcp?: boolean;
  picked: string | undefined;
  /** None was picked, and one is needed. */
  missing: boolean;
  onPick: (agentId: string) => void;
}) {
  const pages = useAgents();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<RegisteredAgent>();
  const id = useId();
  const group = useRef<HTMLFieldSetElement>(null);
  const [allowed, setAllowed] = useState<string>();
  const allow = useAction(async (agent: Agent) => {
    await call<Agent>(`${apiOf(AGENT, agent.agent_id)}/capabilities`, {
      method: "PUT",
      body: { capabilities: withMcp(agent.capabilities, true) },
    });
    await pages.reload();
    onPick(agent.agent_id);
    setAllowed(agent.agent_id);
  });
  useEffect(() => {
    if (missing) {
      group.current?.querySelector<HTMLElement>("input, [role=switch]")?.focus();
    }
  }, [missing]);
  useEffect(() => {
    // The switch that was pressed is gone.
    if (allowed !== undefined) {
      group.current?.querySelector<HTMLElement>("input:checked")?.focus();
    }
  }, [allowed]);
  if (pages.items === undefined) {
    return pages.error === undefined ? (
      <Loading what="your agents" />
    ) : (
      <Problem error={pages.error} onRetry={() => void pages.reload()} />
    );
  }
  const standing = pages.items.filter((agent) => mayAct(agent, false));
  const able = standing.filter((agent) => mayAct(agent, mcp));
  const unlet = standing.filter((agent) => !mayAct(agent, mcp));
  const unable = pages.items.length - standing.length;
  const none = standing.length === 0 && !pages.more;
  return (
    <fieldset ref={group} aria-describedby={missing ? `${id}-missing` : undefined} className="grid gap-3">
      <legend className="mb-2 font-semibold">Which agent?</legend>
      {none ? (
        <p className="text-muted">
          {unable === 0 ? "You have no agent yet. " : "Your agents are switched off or suspended. "}
          Make one here; the request of the {asker} waits meanwhile.
        </p>
      ) : able.length === 0 ? (
        <p className="text-muted">None of your agents may open MCP servers yet. Let one of them, or make another.</p>
      ) : (
        <div className="grid gap-2">
          {able.map((agent) => (
            <label
              key={agent.agent_id}
              className={classes(
                "flex min-h-11 cursor-pointer items-start gap-3 rounded-lg border px-3 py-2 hover:bg-raised",
                picked === agent.agent_id ? "border-accent bg-raised" : "border-edge",
              )}
            >
              <input
                type="radio"
                name={id}
                value={agent.agent_id}
                className="mt-1 size-4 shrink-0 accent-accent"
                checked={picked === agent.agent_id}
                onChange={() => {
                  onPick(agent.agent_id);
                }}
              />
              <span className="grid min-w-0">
                <span className="font-medium break-words">{agent.display_name}</span>
                {agent.description === null ? null : (
                  <span className="line-clamp-2 text-sm break-words text-muted">{agent.description}</span>
                )}
              </span>
            </label>
          ))}
        </div>
      )}
      {missing ? (
        <p id={`${id}-missing`} role="alert" className="text-sm text-bad">
          {none ? "Make an agent first." : able.length === 0 ? "Let an agent open MCP servers first." : "Pick an agent first."}
        </p>
      ) : null}
      {unlet.map((agent) => (
        <div key={agent.agent_id} className="min-w-0 rounded-lg border border-dashed border-edge px-3 py-2">
          <Switch
            label={`Let ${agent.display_name} open MCP servers`}
            hint={agent.description ?? undefined}
            on={false}
            disabled={allow.busy}
            onChange={() => void allow.run(agent)}
          />
        </div>
      ))}
      <Problem error={allow.error} />
      {!none && unable > 0 ? (
        <p className="text-sm text-muted">Agents that are switched off or suspended are not offered.</p>
      ) : null}
      <div className="flex flex-wrap gap-2">
        {pages.more ? (
          <Button kind="plain" busy={pages.loadingMore} onClick={pages.loadMore}>
            Show more agents
          </Button>
        ) : null}
        {none || making ? null : (
          <Button
            kind="quiet"
            className="-ml-4"
            onClick={() => {
              setMaking(true);
            }}
          >
            Make another agent
          </Button>
        )}
      </div>
      {none || making ? (
        <NewAgent
          wanted={making}
          mcp={mcp}
          onMade={async (agent) => {
            setMade(agent);
            if (mcp) {
              await allow.run(agent);
            } else {
              onPick(agent.agent_id);
            }
            await pages.reload();
            setMaking(false);
          }}
        />
      ) : null}
      <OnceDialog
        open={made !== undefined}
        title={`The token of ${made?.display_name ?? "the agent"}`}
        onKept={() => {
          setMade(undefined);
        }}
      >
        <p>The program that is this agent needs it. To answer the {asker}, you do not.</p>
        <ShownOnce secret={made?.agent_token ?? ""} what="token" />
      </OnceDialog>
    </fieldset>
  );
}

function NewAgent({
  wanted, mcp, onMade,
}: {
  wanted: boolean;
  mcp: boolean;
  onMade: (agent: RegisteredAgent) => Promise<void>;
}) {
  const [name, setName] = useState("");
  const [empty, setEmpty] = useState(false);
  // An agent whose answer was lost is the same one when it is asked for again: nobody has seen its token.
  const [keyOf] = useState(newKeys);
  const make = useAction(async () => {
    const body = { display_name: name };
    const request = { method: "POST", body, idempotencyKey: keyOf(body) } as const;
    await onMade(await call<RegisteredAgent>("/core/agents/register", request));
  });
  return (
    <form
      noValidate
      className="grid gap-3 rounded-lg border border-dashed border-edge p-4"
      onSubmit={(event) => {
        event.preventDefault();
        setEmpty(name.trim() === "");
        if (name.trim() !== "") {
          void make.run();
        }
      }}
    >
      <Field
        label="Name of the new agent"
        hint={mcp ? "It may open MCP servers from the start." : undefined}
        value={name}
        onChange={setName}
        error={empty ? "Give it a name." : fieldError(make.error, "display_name")}
        required
        maxLength={100}
        autoFocus={wanted}
      />
      <Problem error={otherError(make.error, ["display_name"])} />
      <div>
        <Button type="submit" kind="plain" busy={make.busy}>
          Make the agent
        </Button>
      </div>
    </form>
  );
}
