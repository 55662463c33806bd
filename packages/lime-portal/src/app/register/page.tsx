"use client";

import { useRouter } from "next/navigation";
import { useState } from "react";

import { CaptchaBox, useCaptcha } from "@/access/captcha";
import { errorAt, errorBeside } from "@/access/errors";
import { Elsewhere, Form } from "@/access/form";
import { call } from "@/api/client";
import { rememberEmail } from "@/lib/memory";
import { withNext } from "@/lib/next-page";
import { advise } from "@/lib/password";
import { useQuery } from "@/lib/use-query";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Field } from "@/ui/field";
import { Problem } from "@/ui/notice";
import { PasswordField } from "@/ui/password-field";

export default function Register() {
  const router = useRouter();
  const next = useQuery("next");
  const captcha = useCaptcha();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [tried, setTried] = useState(false);
  const advice = advise(password);
  const register = useAction(async () => {
    const proof = await captcha.prove();
    await call("/foundation/users/register", { method: "POST", body: { email, password, ...proof } });
    rememberEmail(email);
    router.push(withNext("/verify/", next));
  });

  function send() {
    setTried(true);
    // Before the work is done for nothing; the server has the last word.
    if (advice.enough) {
      void register.run();
    }
  }

  return (
    <Card title="Register">
      <p className="text-muted">An account is for whoever answers for agents or sites. We send a code to your address.</p>
      <Form onSend={send}>
        <Field
          label="E-mail"
          type="email"
          autoComplete="username"
          value={email}
          onChange={setEmail}
          error={errorAt("email", register.error)}
          maxLength={254}
          required
        />
        <PasswordField
          label="Password"
          isNew
          value={password}
          onChange={setPassword}
          error={errorAt("password", register.error) ?? (tried && !advice.enough ? "This is not enough yet." : undefined)}
        />
        <CaptchaBox {...captcha.box} />
        <Problem error={errorBeside(["email", "password"], register.error)} />
        <Button type="submit" busy={register.busy}>
          Register
        </Button>
      </Form>
      <Elsewhere links={[[withNext("/login/", next), "I have an account"]]} />
    </Card>
  );
}
