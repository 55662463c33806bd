"use client";

/** A site asks for an agent; its human answers. */

import { useEffect, useRef, useState } from "react";

import { call, segment } from "@/api/client";
import { ApiError } from "@/api/errors";
import { useApi } from "@/api/hooks";
import type { BindingQuestion, GoingBack } from "@/api/types";
import { isUnder, webAddress } from "@/lib/connecting";
import { left } from "@/lib/countdown";
import { newKey } from "@/lib/keys";
import { useNow } from "@/lib/use-now";
import { useAction } from "@/session/use-action";
import { Button, ButtonLink } from "@/ui/button";
import { Loading } from "@/ui/loading";
import { Notice, Problem } from "@/ui/notice";
import { Facts } from "@/ui/page";
import { AgentPicker } from "./agent-picker";
import { Going } from "./going";
import { SiteStanding } from "./site-standing";
import { Who } from "./who";

export function Answering({ id }: { id: string }) {
  const [going, setGoing] = useState<{ to: string; host: string }>();
  const path = `/modules/bindings/requests/${segment(id)}`;
  // Once it is answered there is nothing to read any more.
  const { data: question, error, mutate } = useApi<BindingQuestion>(id === "" || going !== undefined ? null : path);
  if (going !== undefined) {
    return <Going to={going.to} host={going.host} />;
  }
  if (id === "" || (error instanceof ApiError && error.code === "BINDING_NOT_FOUND")) {
    return <Gone />;
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
      path={path}
      question={question}
      onOver={() => void mutate()}
      onAnswer={(to) => {
        setGoing({ to, host: question.redirect_host });
      }}
    />
  );
}

function Question({
  path, question, onOver, onAnswer,
}: {
  path: string;
  question: BindingQuestion;
  /** The time is up by this machine's clock. */
  onOver: () => void;
  onAnswer: (to: string) => void;
}) {
  const { site, redirect_host, expires_at, learns } = question;
  const [agent, setAgent] = useState<string>();
  const [missing, setMissing] = useState(false);
  // One for each agent that may be picked: the same request sent again is answered as before.
  const [key] = useState(newKey);
  function leave(redirectTo: string) {
    const to = webAddress(redirectTo);
    onAnswer(to);
    window.location.assign(to);
  }
  const allow = useAction(async (agentId: string) => {
    const { redirect_to } = await call<GoingBack>(`${path}/approve`, {
      method: "POST",
      body: { agent_id: agentId },
      idempotencyKey: `${key}.${agentId}`,
    });
    leave(redirect_to);
  });
  const refuse = useAction(async () => {
    const { redirect_to } = await call<GoingBack>(`${path}/refuse`, { method: "POST" });
    leave(redirect_to);
  });
  const busy = allow.busy || refuse.busy;
  return (
    <>
      <div className="grid gap-2">
        <p>
          <strong className="break-words">{site.display_name}</strong> asks to know one of your agents as yours.
        </p>
        <p>
          <SiteStanding site={site} />
        </p>
      </div>
      <Warning question={question} />
      <Facts
        facts={[
          ["You go back to", redirect_host],
          ["Time to answer", <TimeLeft key="left" until={expires_at} onOver={onOver} />],
        ]}
      />
      <section className="grid gap-2">
        <h2 className="font-semibold">What it will learn</h2>
        <ul className="grid list-disc gap-1 pl-5">
          {learns.map(({ claim, meaning }) => (
            <li key={claim}>{meaning}</li>
          ))}
        </ul>
        <p className="text-sm text-muted">It gets no password and no token. You can end the binding at any time.</p>
      </section>
      <AgentPicker
        asker="site"
        picked={agent}
        missing={missing}
        onPick={(picked) => {
          setMissing(false);
          setAgent(picked);
        }}
      />
      <Problem error={allow.error ?? refuse.error} />
      <div className="flex flex-wrap gap-3">
        <Button
          busy={busy}
          onClick={() => {
            refuse.clear();
            if (agent === undefined) {
              setMissing(true);
            } else {
              void allow.run(agent);
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

function Warning({ question: { site, redirect_host } }: { question: BindingQuestion }) {
  if (!site.domain_verified || site.domain === null) {
    return (
      <Notice tone="warn">
        Nobody has proven who this site is: its name is only what it calls itself. Allow this only if you have just come
        from {redirect_host} and meant to.
      </Notice>
    );
  }
  return isUnder(redirect_host, site.domain) ? null : (
    <Notice tone="warn">
      You will go back to {redirect_host}, which is not part of {site.domain}. Allow this only if you know both.
    </Notice>
  );
}

function TimeLeft({ until, onOver }: { until: string; onOver: () => void }) {
  const { over, text } = left(until, useNow(1000));
  const told = useRef(onOver);
  useEffect(() => {
    told.current = onOver;
  });
  useEffect(() => {
    // This machine's clock may be wrong, so the server is asked whether it is so.
    if (over) {
      told.current();
    }
  }, [over]);
  return (
    <span role="timer" className="tabular-nums">
      {over ? "about to run out" : text}
    </span>
  );
}

function Gone() {
  return (
    <>
      <Notice tone="warn">
        This request was answered, has expired, or never was. Go back to the site and start again there.
      </Notice>
      <div>
        <ButtonLink kind="plain" href="/bindings/">
          See your bindings
        </ButtonLink>
      </div>
    </>
  );
}
