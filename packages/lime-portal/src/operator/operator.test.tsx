import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { SWRConfig } from "swr";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Me } from "@/api/types";
import { SignedIn } from "@/session/session";
import { StepUpDialog } from "@/session/step-up";
import { Decide } from "./decide";
import { Documents } from "./documents";
import { Judge } from "./judge";
import { OperatorsOnly } from "./operators-only";

const ME: Me = {
  user_id: "u", email: "op@example.com", kyc_level: 0, operator: true, suspended: false,
  second_factor: { totp: false, recovery_codes_left: 0, passkeys: [] },
};

type Answer = { status?: number; data?: unknown; code?: string };
let answers: Record<string, Answer[]>;
let asked: { at: string; body: unknown }[];

beforeEach(() => {
  asked = [];
  answers = { "GET /foundation/users/me": [{ data: ME }], "POST /foundation/users/step-up": [{ data: {} }] };
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    const at = `${init.method ?? "GET"} ${url.replace("/api/v1", "")}`;
    asked.push({ at, body: typeof init.body === "string" ? (JSON.parse(init.body) as unknown) : undefined });
    const queue = answers[at] ?? [];
    const { status = 200, data, code } = (queue.length > 1 ? queue.shift() : queue[0]) ?? { status: 404, code: "GONE" };
    const answer = code === undefined ? { ok: true, data } : { ok: false, error: { code, message: "As it is." } };
    return Promise.resolve(new Response(JSON.stringify(answer), { status }));
  });
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function show(content: ReactNode) {
  render(
    <SWRConfig value={{ provider: () => new Map(), dedupingInterval: 0 }}>
      <SignedIn>
        <StepUpDialog>{content}</StepUpDialog>
      </SignedIn>
    </SWRConfig>,
  );
  return userEvent.setup();
}

describe("Judge", () => {
  const PATH = "POST /foundation/operator/agents/a1/suspend";
  const judged = { kind: "agents", id: "a1", name: "Courier", suspended: false } as const;

  it("needs a reason, proves who it is, and says that it is done", async () => {
    answers[PATH] = [{ status: 403, code: "STEP_UP_REQUIRED" }, { data: {} }];
    const done = vi.fn(() => Promise.resolve());
    const user = show(<Judge judged={judged} onDone={done} />);
    await user.click(await screen.findByRole("button", { name: "Suspend Courier" }));
    await user.click(screen.getByRole("button", { name: "Suspend" }));
    expect(screen.getByText("Give a reason.")).toBeTruthy();
    expect(asked.filter(({ at }) => at === PATH)).toEqual([]);
    await user.type(screen.getByRole("textbox", { name: "Reason" }), "Spam");
    await user.click(screen.getByRole("button", { name: "Suspend" }));
    await user.type(await screen.findByLabelText("Password"), "secret");
    await user.click(screen.getByRole("button", { name: "Go on" }));
    await vi.waitFor(() => {
      expect(done).toHaveBeenCalledOnce();
    });
    expect(asked.filter(({ at }) => at === PATH).map(({ body }) => body)).toEqual([{ reason: "Spam" }, { reason: "Spam" }]);
    expect(screen.queryByRole("textbox", { name: "Reason" })).toBeNull();
  });

  it("restores, and stays open with what the server refused", async () => {
    answers["POST /foundation/operator/owners/o1/restore"] = [{ status: 403, code: "FORBIDDEN" }];
    const done = vi.fn(() => Promise.resolve());
    const user = show(<Judge judged={{ kind: "owners", id: "o1", name: "a@b.c", suspended: true }} onDone={done} />);
    await user.click(await screen.findByRole("button", { name: "Restore a@b.c" }));
    await user.type(screen.getByRole("textbox", { name: "Reason" }), "Sorted out");
    await user.click(screen.getByRole("button", { name: "Restore" }));
    await screen.findByText("As it is.");
    expect(done).not.toHaveBeenCalled();
    await user.click(screen.getByRole("button", { name: "Keep it as it is" }));
    expect(screen.queryByRole("textbox", { name: "Reason" })).toBeNull();
  });
});

describe("Decide", () => {
  const PATH = "/foundation/operator/kyc/cases/c1";

  it("takes neither outcome nor reason for granted", async () => {
    const user = show(<Decide path={PATH} highest={2} onDecided={() => Promise.resolve()} />);
    await user.click(await screen.findByRole("button", { name: "Decide" }));
    expect(screen.getByText("Choose an outcome.")).toBeTruthy();
    expect(screen.getByText("Give a reason.")).toBeTruthy();
    expect(asked.filter(({ at }) => at.startsWith("POST"))).toEqual([]);
    expect(screen.getAllByRole("option").map(({ textContent }) => textContent)).toEqual([
      "Choose one", "Approve level 1", "Approve level 2", "Reject",
    ]);
  });

  it.each([
    ["2", { outcome: "approve", level: 2, reason: "Seen." }],
    ["reject", { outcome: "reject", reason: "Seen." }],
  ])("sends %s", async (value, body) => {
    answers[`POST ${PATH}/decide`] = [{ data: { case_id: "c1" } }];
    const decided = vi.fn(() => Promise.resolve());
    const user = show(<Decide path={PATH} highest={2} onDecided={decided} />);
    await user.selectOptions(await screen.findByLabelText("Outcome"), value);
    await user.type(screen.getByRole("textbox", { name: "Reason" }), "Seen.");
    await user.click(screen.getByRole("button", { name: "Decide" }));
    await vi.waitFor(() => {
      expect(decided).toHaveBeenCalledExactlyOnceWith({ case_id: "c1" });
    });
    expect(asked.at(-1)?.body).toEqual(body);
  });
});

describe("Documents", () => {
  const documents = [{ number: 1, name: "id.pdf", content_type: "application/pdf", size: 2048 }];

  it("shows links once it is proven who asks, and not for long", async () => {
    const user = show(<Documents path="/foundation/operator/kyc/cases/c1" documents={documents} />);
    await user.click(await screen.findByRole("button", { name: /Prove that it is you/u }));
    expect(screen.queryByRole("link")).toBeNull();
    await user.type(screen.getByLabelText("Password"), "secret");
    vi.useFakeTimers();
    fireEvent.click(screen.getByRole("button", { name: "Go on" }));
    await act(() => vi.advanceTimersByTimeAsync(0));
    const link = screen.getByRole("link", { name: /id\.pdf/u });
    expect(link.getAttribute("href")).toBe("/api/v1/foundation/operator/kyc/cases/c1/documents/1");
    expect(link.getAttribute("rel")).toContain("noopener");
    await act(() => vi.advanceTimersByTimeAsync(9 * 60 * 1000));
    expect(screen.queryByRole("link")).toBeNull();
    expect(screen.getByRole("button", { name: /Prove that it is you/u })).toBeTruthy();
  });

  it("shows no link to whoever closes the question", async () => {
    const user = show(<Documents path="/x" documents={documents} />);
    await user.click(await screen.findByRole("button", { name: /Prove that it is you/u }));
    await user.click(screen.getByRole("button", { name: "Close" }));
    expect(screen.queryByRole("link")).toBeNull();
  });

  it("says why there may be none", async () => {
    show(<Documents path="/x" documents={[]} />);
    await screen.findByText(/None, or they were deleted/u);
  });
});

describe("OperatorsOnly", () => {
  it("lets operators in", async () => {
    show(<OperatorsOnly>console</OperatorsOnly>);
    await screen.findByText("console");
  });

  it("is no page to everybody else", async () => {
    answers["GET /foundation/users/me"] = [{ data: { ...ME, operator: false } }];
    show(<OperatorsOnly>console</OperatorsOnly>);
    await screen.findByRole("heading", { name: "There is no such page" });
    expect(screen.queryByText("console")).toBeNull();
  });
});
