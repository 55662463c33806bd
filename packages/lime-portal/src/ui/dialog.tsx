"use client";

import { useEffect, useId, useRef, type ReactNode } from "react";

import { Button } from "./button";

/**
 * A modal dialog: the browser's own, which keeps the focus inside, closes on Escape and gives the
 * focus back.
 *
 * Its content is mounted only while it is open, so every opening starts afresh.
 */
export function Dialog({
  open, title, onClose, children,
}: {
  open: boolean;
  title: string;
  /** Escape and the cross. Without it only what is inside closes the dialog: for what is shown once. */
  onClose?: (() => void) | undefined;
  children: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    if (open) {
      dialog.current?.showModal();
    } else {
      dialog.current?.close();
    }
  }, [open]);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      className="m-auto w-[min(36rem,calc(100vw-2rem))] rounded-xl border border-line bg-surface p-6 text-ink"
      onCancel={(event) => {
        event.preventDefault();
        // A file input inside cancels, too, when nothing was chosen.
        if (event.target === event.currentTarget) {
          onClose?.();
        }
      }}
      onClose={() => {
        // Browsers close it at the second Escape, whatever a page says to the first.
        if (open) {
          dialog.current?.showModal();
          onClose?.();
        }
      }}
    >
      {open ? (
        <div className="grid gap-4">
          <div className="flex items-start justify-between gap-4">
            <h2 id={id} className="text-xl font-semibold">
              {title}
            </h2>
            {onClose === undefined ? null : (
              <button
                type="button"
                aria-label="Close"
                className="grid size-11 shrink-0 place-items-center rounded-lg text-xl hover:bg-raised"
                onClick={onClose}
              >
                <span aria-hidden>×</span>
              </button>
            )}
          </div>
          {children}
        </div>
      ) : null}
    </dialog>
  );
}

/** A dialog with what the server tells only now: nothing but its button closes it. */
export function OnceDialog({
  open, title, onKept, children,
}: {
  open: boolean;
  title: string;
  onKept: () => void;
  children: ReactNode;
}) {
  return (
    <Dialog open={open} title={title}>
      {children}
      <div className="flex justify-end">
        <Button onClick={onKept}>I have kept it</Button>
      </div>
    </Dialog>
  );
}
