"use client";

import { useRouter } from "next/navigation";
import { useState } from "react";

import { errorAt, errorBeside } from "@/access/errors";
import { Elsewhere, Form } from "@/access/form";
import { call } from "@/api/client";
import { MAILED_CODE } from "@/api/errors";
import { rememberEmail, useRememberedEmail } from "@/lib/memory";
import { withNext } from "@/lib/next-page";
import { useQuery } from "@/lib/use-query";
import { useAction } from "@/session/use-action";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Field } from "@/ui/field";
import { Loading } from "@/ui/loading";
import { Problem } from "@/ui/notice";

export default function Verify() {
  const known = useRememberedEmail();
  return <Card title="Prove your address">{known === undefined ? <Loading what="the form" /> : <Code known={known} />}</Card>;
}

function Code({ known }: { known: string }) {
  const router = useRouter();
  const next = useQuery("next");
  const [email, setEmail] = useState(known);
  const [code, setCode] = useState("");
  const verify = useAction(async () => {
    await call("/foundation/users/register/verify", { method: "POST", body: { email, code } });
    rememberEmail(email);
    const login = withNext("/login/", next);
    router.push(login + (login.includes("?") ? "&" : "?") + "verified=1");
  });
  return (
    <>
      <p>We sent a mail{known === "" ? "" : ` to ${known}`}. If the address is new, it holds a code.</p>
      <Form onSend={() => void verify.run()}>
        <Field
          label="E-mail"
          type="email"
          autoComplete="username"
          value={email}
          onChange={setEmail}
          error={errorAt("email", verify.error)}
          maxLength={254}
          required
        />
        <Field
          label="Code"
          hint="Six digits from the mail, good for 15 minutes in the browser that registered."
          inputMode="numeric"
          autoComplete="one-time-code"
          value={code}
          onChange={setCode}
          error={errorAt("code", verify.error, MAILED_CODE)}
          maxLength={32}
          required
          autoFocus={known !== ""}
        />
        <Problem error={errorBeside(["email", "code"], verify.error)} />
        <Button type="submit" busy={verify.busy}>
          Prove it
        </Button>
      </Form>
      <Elsewhere
        links={[
          [withNext("/register/", next), "Ask for another code"],
          [withNext("/login/", next), "I have an account"],
        ]}
      />
    </>
  );
}
