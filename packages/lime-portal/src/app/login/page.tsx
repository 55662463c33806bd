"use client";

import { useReducer, useState } from "react";

import { errorAt, errorBeside } from "@/access/errors";
import { Elsewhere, Form, StepLead } from "@/access/form";
import { signInWithPasskey } from "@/access/passkey";
import { call } from "@/api/client";
import { ApiError, AUTHENTICATOR_CODE, RECOVERY_CODE } from "@/api/errors";
import { useApi } from "@/api/hooks";
import type { LoginState, PortalConfig } from "@/api/types";
import { rememberEmail, useRememberedEmail } from "@/lib/memory";
import { safeNext, withNext } from "@/lib/next-page";
import { START, signIn, type Means, type SignIn } from "@/lib/sign-in";
import { useQuery } from "@/lib/use-query";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Field } from "@/ui/field";
import { Loading } from "@/ui/loading";
import { Notice, Problem } from "@/ui/notice";
import { PasswordField } from "@/ui/password-field";

export default function Login() {
  const known = useRememberedEmail();
  const next = useQuery("next");
  const [now, tell] = useReducer(signIn, START);

  function answered(state: LoginState) {
    tell({ what: "answered", state });
    if (state.status === "SIGNED_IN") {
      // A full load: nothing that was read before belongs to this session.
      window.location.assign(safeNext(next ?? null, window.location.origin));
    }
  }

  return (
    <Card title="Sign in">
      {known === undefined ? (
        <Loading what="the form" />
      ) : now.step === "factor" ? (
        <SecondFactor
          now={now}
          onAnswer={answered}
          onLapse={() => {
            tell({ what: "lapsed" });
          }}
          onChoose={(means) => {
            tell({ what: "chose", means });
          }}
          onRestart={() => {
            tell({ what: "restarted" });
          }}
        />
      ) : now.step === "done" ? (
        <p role="status" className="min-h-96">
          You are signed in. One moment.
        </p>
      ) : (
        <Password known={known} next={next} lapsed={now.lapsed} onAnswer={answered} />
      )}
    </Card>
  );
}

type Answered = (state: LoginState) => void;

function Password({
  known, next, lapsed, onAnswer,
}: {
  known: string;
  next: string | null | undefined;
  lapsed: boolean;
  onAnswer: Answered;
}) {
  const verified = useQuery("verified");
  const [email, setEmail] = useState(known);
  const [password, setPassword] = useState("");
  const withPassword = useAction(async () => {
    rememberEmail(email);
    const state = await call<LoginState>("/foundation/users/login", { method: "POST", body: { email, password } });
    onAnswer(state);
  });
  const withPasskey = useAction(async () => {
    onAnswer(await signInWithPasskey());
  });
  return (
    <>
      {lapsed ? (
        <Notice tone="warn">That took too long, or there were too many tries. Start again with your password.</Notice>
      ) : verified === null ? null : (
        <Notice tone="good">Your address is proven. Sign in with the password that you chose.</Notice>
      )}
      <Form
        onSend={() => {
          withPasskey.clear();
          void withPassword.run();
        }}
      >
        <Field
          label="E-mail"
          type="email"
          autoComplete="username"
          value={email}
          onChange={setEmail}
          error={errorAt("email", withPassword.error)}
          maxLength={254}
          required
        />
        <PasswordField label="Password" value={password} onChange={setPassword} />
        <Problem error={errorBeside(["email"], withPassword.error)} />
        <Button type="submit" busy={withPassword.busy}>
          Sign in
        </Button>
      </Form>
      <Problem error={withPasskey.error} />
      <Button
        kind="plain"
        busy={withPasskey.busy}
        onClick={() => {
          withPassword.clear();
          void withPasskey.run();
        }}
      >
        Sign in with a passkey
      </Button>
      <Elsewhere
        links={[
          [withNext("/register/", next), "Register"],
          [withNext("/forgot/", next), "I forgot my password"],
        ]}
      />
      <NobodyYet />
    </>
  );
}

/** On a fresh server there is nobody who could sign in. Below everything else, so that nothing moves. */
function NobodyYet() {
  const { data: config } = useApi<PortalConfig>("/foundation/portal-config");
  return config?.first_owner === true ? (
    <Notice>
      Nobody can sign in on this server yet. Whoever started it by <code>lime-server dev</code> finds a link in its output
      that makes the first account; a restart prints a new one.
    </Notice>
  ) : null;
}

const WAYS: Readonly<Record<Means, { name: string; lead: string; label: string; field: string }>> = {
  totp: {
    name: "Use the authenticator",
    lead: "Your password is right. Type in the code that your authenticator shows now.",
    label: "Code of your authenticator",
    field: "code",
  },
  recovery_code: {
    name: "Use a recovery code",
    lead: "Your password is right. Type in one of your recovery codes; each works once.",
    label: "Recovery code",
    field: "recovery_code",
  },
  passkey: {
    name: "Use a passkey",
    lead: "Your password is right. Go on with your passkey.",
    label: "",
    field: "",
  },
};

function SecondFactor({
  now, onAnswer, onLapse, onChoose, onRestart,
}: {
  now: Extract<SignIn, { step: "factor" }>;
  onAnswer: Answered;
  onLapse: () => void;
  onChoose: (means: Means) => void;
  onRestart: () => void;
}) {
  const others = now.methods.filter((one) => one !== now.means);
  return (
    <>
      {/* Another way is another form, with nothing typed yet. */}
      <Factor key={now.means} means={now.means} onAnswer={onAnswer} onLapse={onLapse} />
      <div className="-ml-4 flex flex-wrap gap-3">
        {others.map((means) => (
          <Button
            key={means}
            kind="quiet"
            onClick={() => {
              onChoose(means);
            }}
          >
            {WAYS[means].name}
          </Button>
        ))}
        <Button kind="quiet" onClick={onRestart}>
          Start again
        </Button>
      </div>
    </>
  );
}

function Factor({ means, onAnswer, onLapse }: { means: Means; onAnswer: Answered; onLapse: () => void }) {
  const { lead, label, field } = WAYS[means];
  const [value, setValue] = useState("");
  const prove = useAction(async () => {
    if (means === "passkey") {
      onAnswer(await signInWithPasskey());
      return;
    }
    try {
      const body = { [field]: value };
      onAnswer(await call<LoginState>("/foundation/users/login/second-factor", { method: "POST", body }));
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "NOT_SIGNED_IN") {
        throw error;
      }
      onLapse();
    }
  });
  return (
    <Form onSend={() => void prove.run()}>
      {means === "passkey" ? <StepLead>{lead}</StepLead> : <p>{lead}</p>}
      {means === "passkey" ? null : (
        <Field
          label={label}
          inputMode={means === "totp" ? "numeric" : undefined}
          autoComplete={means === "totp" ? "one-time-code" : "off"}
          spellCheck={false}
          value={value}
          onChange={setValue}
          error={errorAt("code", prove.error, means === "totp" ? AUTHENTICATOR_CODE : RECOVERY_CODE)}
          maxLength={means === "totp" ? 32 : 64}
          required
          autoFocus
        />
      )}
      <Problem error={errorBeside(["code"], prove.error)} />
      <Button type="submit" busy={prove.busy}>
        {means === "passkey" ? "Go on with a passkey" : "Go on"}
      </Button>
    </Form>
  );
}
