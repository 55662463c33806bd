"use client";

import { useState } from "react";

import { advise } from "@/lib/password";
import { Button } from "./button";
import { Field } from "./field";

/** A password to be typed, which can be looked at. A new one is judged while it is typed. */
export function PasswordField({
  label, value, onChange, error, isNew = false, autoFocus = false,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  error?: string | undefined;
  /** It is being chosen, not asked for. */
  isNew?: boolean;
  autoFocus?: boolean;
}) {
  const [shown, setShown] = useState(false);
  return (
    <div className="grid gap-1">
      <Field
        label={label}
        type={shown ? "text" : "password"}
        autoComplete={isNew ? "new-password" : "current-password"}
        spellCheck={false}
        value={value}
        onChange={onChange}
        error={error}
        hint={isNew ? advise(value).text : undefined}
        maxLength={1024}
        required
        autoFocus={autoFocus}
      />
      <div>
        <Button
          kind="quiet"
          className="-ml-4 text-sm"
          onClick={() => {
            setShown(!shown);
          }}
        >
          {shown ? "Hide what I type" : "Show what I type"}
        </Button>
      </div>
    </div>
  );
}
