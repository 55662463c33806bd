"use client";

import { useState } from "react";

import { errorAt, errorBeside } from "@/access/errors";
import { Form } from "@/access/form";
import { call } from "@/api/client";
import { ApiError } from "@/api/errors";
import { useApi } from "@/api/hooks";
import type { PortalConfig } from "@/api/types";
import { useFragmentToken } from "@/lib/fragment";
import { rememberEmail } from "@/lib/memory";
import { advise } from "@/lib/password";
import { useAction } from "@/session/use-action";
import { Button, ButtonLink } from "@/ui/button";
import { Card } from "@/ui/card";
import { Field } from "@/ui/field";
import { Loading } from "@/ui/loading";
import { Notice, Problem } from "@/ui/notice";
import { PasswordField } from "@/ui/password-field";

export default function First() {
  const token = useFragmentToken();
  const { data: config, error, mutate } = useApi<PortalConfig>("/foundation/portal-config");
  return (
    <Card title="Become the first owner">
      {error !== undefined ? (
        <Problem error={error} onRetry={() => void mutate()} />
      ) : config === undefined || token === undefined ? (
        <Loading what="the form" />
      ) : !config.first_owner ? (
        <>
          <p>Somebody can sign in on this server already, so the link that makes the first account is void.</p>
          <ButtonLink href="/login/">Sign in</ButtonLink>
        </>
      ) : token === null ? (
        <NoLink />
      ) : (
        <Account key={token} token={token} />
      )}
    </Card>
  );
}

function NoLink() {
  return (
    <>
      <p>
        Open the link that <code>lime-server dev</code> prints when it starts. It ends with a token, which is missing here.
      </p>
      <p className="text-muted">Each start prints a new link, and only the newest one works.</p>
    </>
  );
}

function Account({ token }: { token: string }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [tried, setTried] = useState(false);
  const advice = advise(password);
  const become = useAction(async () => {
    await call("/foundation/users/first", { method: "POST", body: { token, email, password } });
    rememberEmail(email);
    // A full load: it begins with the session that there is now.
    window.location.assign("/");
  });
  const stale = become.error instanceof ApiError && become.error.code === "INVALID_CODE";
  return (
    <>
      <p className="text-muted">
        You will own the agent and the site that came with this server, and be its operator. The account stays on this
        server; no mail is sent.
      </p>
      <Form
        onSend={() => {
          setTried(true);
          if (advice.enough) {
            void become.run();
          }
        }}
      >
        <Field
          label="E-mail"
          type="email"
          autoComplete="username"
          value={email}
          onChange={setEmail}
          error={errorAt("email", become.error)}
          maxLength={254}
          required
        />
        <PasswordField
          label="Password"
          isNew
          value={password}
          onChange={setPassword}
          error={errorAt("password", become.error) ?? (tried && !advice.enough ? "This is not enough yet." : undefined)}
        />
        {stale ? (
          <Notice tone="bad">
            This link was used, or is not the newest one. Restart <code>lime-server dev</code> and open the link that it
            prints.
          </Notice>
        ) : (
          <Problem error={errorBeside(["email", "password"], become.error)} />
        )}
        <Button type="submit" busy={become.busy}>
          Become the first owner
        </Button>
      </Form>
    </>
  );
}
