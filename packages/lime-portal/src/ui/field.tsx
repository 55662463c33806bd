"use client";

import { useId, type HTMLInputAutoCompleteAttribute, type ReactNode } from "react";

import { classes } from "./classes";

const BOX =
  "w-full min-h-11 rounded-lg border bg-surface px-3 py-2 text-base text-ink placeholder:text-muted disabled:opacity-60";

type Common = {
  label: string;
  value: string;
  onChange: (value: string) => void;
  /** What to type, in a sentence. */
  hint?: ReactNode;
  /** What is wrong with it. */
  error?: string | undefined;
  required?: boolean;
  maxLength?: number;
  disabled?: boolean;
};

type FieldProps = Common & {
  type?: "text" | "email" | "password" | "url" | "search";
  autoComplete?: HTMLInputAutoCompleteAttribute;
  inputMode?: "numeric" | "email" | "url" | undefined;
  minLength?: number;
  pattern?: string;
  spellCheck?: boolean;
  /** Only where a dialog or page is about nothing else. */
  autoFocus?: boolean;
};

/** One line of input, with its label, hint and error tied to it. */
export function Field({ label, value, onChange, hint, error, autoFocus = false, type = "text", ...rest }: FieldProps) {
  return (
    <Labelled label={label} hint={hint} error={error} required={rest.required}>
      {(ids) => (
        <input
          {...ids}
          {...rest}
          type={type}
          // The dialog or page is about this field, and a screen reader announces the heading first.
          // eslint-disable-next-line jsx-a11y/no-autofocus
          autoFocus={autoFocus}
          value={value}
          className={classes(BOX, error === undefined ? "border-edge" : "border-bad")}
          onChange={(event) => {
            onChange(event.target.value);
          }}
        />
      )}
    </Labelled>
  );
}

/** Several lines of input. */
export function Area({ label, value, onChange, hint, error, rows = 3, ...rest }: Common & { rows?: number }) {
  return (
    <Labelled label={label} hint={hint} error={error} required={rest.required}>
      {(ids) => (
        <textarea
          {...ids}
          {...rest}
          rows={rows}
          value={value}
          className={classes(BOX, error === undefined ? "border-edge" : "border-bad")}
          onChange={(event) => {
            onChange(event.target.value);
          }}
        />
      )}
    </Labelled>
  );
}

/** One of a few. */
export function Choice({
  label, value, onChange, hint, options, disabled = false,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: ReactNode;
  options: readonly { value: string; label: string }[];
  disabled?: boolean;
}) {
  return (
    <Labelled label={label} hint={hint}>
      {(ids) => (
        <select
          {...ids}
          value={value}
          disabled={disabled}
          className={classes(BOX, "border-edge")}
          onChange={(event) => {
            onChange(event.target.value);
          }}
        >
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      )}
    </Labelled>
  );
}

/** On or off, effective at once. */
export function Switch({
  label, hint, on, onChange, disabled = false,
}: {
  label: string;
  hint?: ReactNode;
  on: boolean;
  onChange: (on: boolean) => void;
  disabled?: boolean;
}) {
  const id = useId();
  return (
    <div className="flex items-start justify-between gap-4">
      <div>
        <span id={`${id}-label`} className="font-medium">
          {label}
        </span>
        {hint === undefined ? null : (
          <p id={`${id}-hint`} className="text-sm text-muted">
            {hint}
          </p>
        )}
      </div>
      <button
        type="button"
        role="switch"
        aria-checked={on}
        aria-labelledby={`${id}-label`}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        disabled={disabled}
        className={classes(
          "relative h-8 w-14 shrink-0 rounded-full border-2 transition-colors disabled:opacity-60",
          on ? "border-accent bg-accent" : "border-edge bg-raised",
        )}
        onClick={() => {
          onChange(!on);
        }}
      >
        <span
          aria-hidden
          className={classes(
            "absolute top-0.5 left-0.5 size-6 rounded-full transition-transform",
            on ? "translate-x-6 bg-on-accent" : "bg-edge",
          )}
        />
      </button>
    </div>
  );
}

/** Files from this machine. */
export function Files({
  label, hint, error, accept, multiple = false, onChange,
}: {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  accept: string;
  multiple?: boolean;
  onChange: (files: File[]) => void;
}) {
  return (
    <Labelled label={label} hint={hint} error={error}>
      {(ids) => (
        <input
          {...ids}
          type="file"
          accept={accept}
          multiple={multiple}
          className={classes(BOX, error === undefined ? "border-edge" : "border-bad", "file:mr-3 file:rounded file:border-0 file:bg-raised file:px-3 file:py-1 file:text-ink")}
          onChange={(event) => {
            onChange([...(event.target.files ?? [])]);
          }}
        />
      )}
    </Labelled>
  );
}

type Ids = { id: string; "aria-describedby": string | undefined; "aria-invalid": boolean };

function Labelled({
  label, hint, error, required, children,
}: {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  required?: boolean | undefined;
  children: (ids: Ids) => ReactNode;
}) {
  const id = useId();
  const described = [hint !== undefined && `${id}-hint`, error !== undefined && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
        {required === false ? <span className="font-normal text-muted"> (optional)</span> : null}
      </label>
      {hint === undefined ? null : (
        <p id={`${id}-hint`} className="text-sm text-muted">
          {hint}
        </p>
      )}
      {children({ id, "aria-describedby": described === "" ? undefined : described, "aria-invalid": error !== undefined })}
      {error === undefined ? null : (
        <p id={`${id}-error`} className="text-sm text-bad">
          {error}
        </p>
      )}
    </div>
  );
}
