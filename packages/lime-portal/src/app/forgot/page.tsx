"use client";

import { useState } from "react";

import { CaptchaBox, useCaptcha } from "@/access/captcha";
import { errorAt, errorBeside } from "@/access/errors";
import { Elsewhere, Form, StepLead } from "@/access/form";
import { call } from "@/api/client";
import { MAILED_CODE } from "@/api/errors";
import { rememberEmail, useRememberedEmail } from "@/lib/memory";
import { withNext } from "@/lib/next-page";
import { advise } from "@/lib/password";
import { useQuery } from "@/lib/use-query";
import { useAction } from "@/session/use-action";
import { Button, ButtonLink } from "@/ui/button";
import { Card } from "@/ui/card";
import { Field } from "@/ui/field";
import { Loading } from "@/ui/loading";
import { Problem } from "@/ui/notice";
import { PasswordField } from "@/ui/password-field";

export default function Forgot() {
  const known = useRememberedEmail();
  return <Card title="Another password">{known === undefined ? <Loading what="the form" /> : <Steps known={known} />}</Card>;
}

function Steps({ known }: { known: string }) {
  const login = withNext("/login/", useQuery("next"));
  const [email, setEmail] = useState(known);
  const [step, setStep] = useState<"ask" | "code" | "done">("ask");
  switch (step) {
    case "ask":
      return (
        <Ask
          email={email}
          login={login}
          onEmail={setEmail}
          onAsked={() => {
            setStep("code");
          }}
        />
      );
    case "code":
      return (
        <NewPassword
          email={email}
          onSet={() => {
            rememberEmail(email);
            setStep("done");
          }}
          onAgain={() => {
            setStep("ask");
          }}
        />
      );
    case "done":
      return (
        <>
          <StepLead>Your password is another one now, and all your sessions have ended.</StepLead>
          <ButtonLink href={login}>Sign in</ButtonLink>
        </>
      );
  }
}

function Ask({
  email, login, onEmail, onAsked,
}: {
  email: string;
  /** The sign-in, which goes on to where somebody was going. */
  login: string;
  onEmail: (email: string) => void;
  onAsked: () => void;
}) {
  const captcha = useCaptcha();
  const ask = useAction(async () => {
    const proof = await captcha.prove();
    await call("/foundation/users/password/reset", { method: "POST", body: { email, ...proof } });
    onAsked();
  });
  return (
    <>
      <p className="text-muted">We send a code to your address. With it you set another password here, in this browser.</p>
      <Form onSend={() => void ask.run()}>
        <Field
          label="E-mail"
          type="email"
          autoComplete="username"
          value={email}
          onChange={onEmail}
          error={errorAt("email", ask.error)}
          maxLength={254}
          required
        />
        <CaptchaBox {...captcha.box} />
        <Problem error={errorBeside(["email"], ask.error)} />
        <Button type="submit" busy={ask.busy}>
          Send me a code
        </Button>
      </Form>
      <Elsewhere links={[[login, "Back to sign in"]]} />
    </>
  );
}

function NewPassword({ email, onSet, onAgain }: { email: string; onSet: () => void; onAgain: () => void }) {
  const [code, setCode] = useState("");
  const [password, setPassword] = useState("");
  const [tried, setTried] = useState(false);
  const advice = advise(password);
  const set = useAction(async () => {
    const body = { email, code, new_password: password };
    await call("/foundation/users/password/reset/confirm", { method: "POST", body });
    onSet();
  });
  return (
    <>
      <p>If {email} belongs to an account, a mail with a code is on its way there.</p>
      <Form
        onSend={() => {
          setTried(true);
          if (advice.enough) {
            void set.run();
          }
        }}
      >
        {/* For password managers, which keep the password for this address. */}
        <input type="email" autoComplete="username" value={email} readOnly hidden />
        <Field
          label="Code"
          hint="Eight digits from the mail, good for 15 minutes in this browser."
          inputMode="numeric"
          autoComplete="one-time-code"
          value={code}
          onChange={setCode}
          error={errorAt("code", set.error, MAILED_CODE)}
          maxLength={32}
          required
          autoFocus
        />
        <PasswordField
          label="New password"
          isNew
          value={password}
          onChange={setPassword}
          error={errorAt("password", set.error) ?? (tried && !advice.enough ? "This is not enough yet." : undefined)}
        />
        <Problem error={errorBeside(["code", "password"], set.error)} />
        <Button type="submit" busy={set.busy}>
          Set the password
        </Button>
      </Form>
      <div className="-ml-4">
        <Button kind="quiet" onClick={onAgain}>
          Ask for another code
        </Button>
      </div>
    </>
  );
}
