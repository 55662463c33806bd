import { cleanup, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { useMe } from "@/session/session";
import { RecoverySection } from "./recovery-section";
import { TotpSection } from "./totp-section";

vi.mock("@/session/session");

type Answer = "lost" | { status?: number; data?: unknown; code?: string };
type Asked = { path: string; body: unknown; key: string | null };

const CONFIRM = "/foundation/users/totp/confirm";
const CODES = "/foundation/users/recovery-codes";
const MADE = { data: { recovery_codes: ["aaaa-bbbb"] } };
const WRONG = { status: 400, code: "INVALID_CODE" };

let asked: Asked[];
let answers: Record<string, Answer[]>;
const reload = vi.fn();
const onCodes = vi.fn();

/** The key of each request to `path`, and what it said. */
const sent = (path: string) => asked.filter((one) => one.path === path);
const codes = () => sent(CONFIRM).map((one) => (one.body as { code: string }).code);
const keys = (path: string) => sent(path).map((one) => one.key);

beforeEach(() => {
  asked = [];
  answers = { "/foundation/users/totp": [{ data: { secret: "JBSWY3DP", otpauth_uri: "otpauth://totp/LIME:a?secret=JBSWY3DP" } }] };
  reload.mockReset();
  onCodes.mockReset();
  owns(false);
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    const path = url.replace("/api/v1", "");
    const body: unknown = typeof init.body === "string" ? JSON.parse(init.body) : undefined;
    asked.push({ path, body, key: new Headers(init.headers).get("Idempotency-Key") });
    const answer = answers[path]?.shift() ?? { status: 404, code: "NOT_FOUND" };
    if (answer === "lost") {
      return Promise.reject(new TypeError("Failed to fetch"));
    }
    const { status = 200, data, code } = answer;
    const envelope = code === undefined ? { ok: true, data } : { ok: false, error: { code, message: "As it is." } };
    return Promise.resolve(new Response(JSON.stringify(envelope), { status }));
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function owns(totp: boolean) {
  const me = { email: "me@example.com", second_factor: { totp, passkeys: [], recovery_codes_left: 10 } };
  vi.mocked(useMe).mockReturnValue({ me, reload } as unknown as ReturnType<typeof useMe>);
}

async function addAuthenticator() {
  render(<TotpSection onCodes={onCodes} />);
  const user = userEvent.setup();
  await user.click(screen.getByRole("button", { name: "Add an authenticator" }));
  await screen.findByLabelText("Code that it shows now");
  return user;
}

async function enter(user: ReturnType<typeof userEvent.setup>, code: string) {
  const before = asked.length;
  await user.clear(screen.getByLabelText("Code that it shows now"));
  await user.type(screen.getByLabelText("Code that it shows now"), code);
  await user.click(screen.getByRole("button", { name: "Add it" }));
  await waitFor(() => {
    expect(asked.length).toBeGreaterThan(before);
  });
}

test("a corrected code is another request, with a key of its own", async () => {
  answers[CONFIRM] = [WRONG, MADE];
  const user = await addAuthenticator();
  await enter(user, "111111");
  // There is nothing that could be asked for.
  expect(await screen.findByText(/Type the next one that your authenticator shows/)).toBeDefined();
  await enter(user, "222222");
  await waitFor(() => {
    expect(onCodes).toHaveBeenCalledWith(["aaaa-bbbb"]);
  });
  expect(codes()).toEqual(["111111", "222222"]);
  expect(new Set(keys(CONFIRM)).size).toBe(2);
  expect(keys(CONFIRM)).not.toContain(null);
  expect(reload).toHaveBeenCalled();
});

test("the code whose answer was lost brings the recovery codes when it is sent again", async () => {
  answers[CONFIRM] = ["lost", MADE];
  const user = await addAuthenticator();
  await enter(user, "111111");
  expect((await screen.findByRole("alert")).textContent).toMatch(/cannot be reached/);
  await enter(user, "111111");
  await waitFor(() => {
    expect(onCodes).toHaveBeenCalledWith(["aaaa-bbbb"]);
  });
  expect(new Set(keys(CONFIRM)).size).toBe(1);
});

test("it does so, too, when a newer code is typed in after it", async () => {
  answers[CONFIRM] = ["lost", { status: 502 }, MADE];
  const user = await addAuthenticator();
  for (const code of ["111111", "222222", "333333"]) {
    await enter(user, code);
  }
  await waitFor(() => {
    expect(onCodes).toHaveBeenCalledWith(["aaaa-bbbb"]);
  });
  expect(codes()).toEqual(["111111", "111111", "111111"]);
  expect(new Set(keys(CONFIRM)).size).toBe(1);
});

test("a code that never arrived does not stand in the way of a newer one", async () => {
  answers[CONFIRM] = ["lost", WRONG, MADE];
  const user = await addAuthenticator();
  await enter(user, "111111");
  await enter(user, "222222");
  await waitFor(() => {
    expect(onCodes).toHaveBeenCalledWith(["aaaa-bbbb"]);
  });
  expect(codes()).toEqual(["111111", "111111", "222222"]);
});

test("what is closed without an answer is looked at anew", async () => {
  answers[CONFIRM] = ["lost"];
  const user = await addAuthenticator();
  await enter(user, "111111");
  await user.click(screen.getByRole("button", { name: "Close" }));
  expect(reload).toHaveBeenCalledTimes(1);
});

test("recovery codes whose answer was lost are the same ones when they are asked for again", async () => {
  owns(true);
  answers[CODES] = ["lost", MADE, MADE];
  render(<RecoverySection onCodes={onCodes} />);
  const user = userEvent.setup();
  await user.click(screen.getByRole("button", { name: "Get new recovery codes" }));
  await user.click(screen.getByRole("button", { name: "Get them" }));
  await screen.findByRole("alert");
  await user.click(screen.getByRole("button", { name: "Get them" }));
  await waitFor(() => {
    expect(screen.queryByRole("button", { name: "Get them" })).toBeNull();
  });
  expect(onCodes).toHaveBeenCalledTimes(1);
  // Asked anew, they are new.
  await user.click(screen.getByRole("button", { name: "Get new recovery codes" }));
  await user.click(screen.getByRole("button", { name: "Get them" }));
  const [lost, again, anew] = keys(CODES);
  expect(lost).toBe(again);
  expect(anew).not.toBe(again);
  expect([lost, anew]).not.toContain(null);
});
