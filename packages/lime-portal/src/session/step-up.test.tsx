import { cleanup, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { call } from "@/api/client";
import { ApiError, PageError } from "@/api/errors";
import { askForPasskey } from "@/lib/passkeys";
import { Problem } from "@/ui/notice";
import { useMe } from "./session";
import { StepUpDialog, withStepUp } from "./step-up";
import { useAction } from "./use-action";

vi.mock("@/api/client");
vi.mock("@/lib/passkeys");
vi.mock("./session");

const STEP_UP = new ApiError(403, "STEP_UP_REQUIRED", "prove it");

function withFactors(totp: boolean, passkeys: unknown[] = []) {
  const me = { email: "me@example.com", second_factor: { totp, passkeys, recovery_codes_left: 0 } };
  vi.mocked(useMe).mockReturnValue({ me, reload: vi.fn() } as unknown as ReturnType<typeof useMe>);
}

beforeEach(() => {
  vi.mocked(call).mockReset();
  withFactors(false);
});
afterEach(cleanup);

describe("withStepUp", () => {
  it("asks nobody when nothing is refused", async () => {
    const ask = vi.fn();
    await expect(withStepUp(() => Promise.resolve(1), ask)).resolves.toBe(1);
    expect(ask).not.toHaveBeenCalled();
  });

  it("does the work again once it is proven", async () => {
    const work = vi.fn().mockRejectedValueOnce(STEP_UP).mockResolvedValueOnce(2);
    await expect(withStepUp(work, () => Promise.resolve(true))).resolves.toBe(2);
    expect(work).toHaveBeenCalledTimes(2);
  });

  it("asks once: a second refusal is a refusal", async () => {
    const work = vi.fn().mockRejectedValue(STEP_UP);
    await expect(withStepUp(work, () => Promise.resolve(true))).rejects.toBe(STEP_UP);
    expect(work).toHaveBeenCalledTimes(2);
  });

  it.each([
    ["the owner thinks better of it", STEP_UP, () => Promise.resolve(false)],
    ["nobody can ask", STEP_UP, null],
    ["it is another refusal", new ApiError(403, "CSRF_FAILED", "no"), () => Promise.resolve(true)],
    ["it is no refusal", new Error("bug"), () => Promise.resolve(true)],
  ])("passes the error on when %s", async (_when, error, ask) => {
    const work = vi.fn().mockRejectedValue(error);
    await expect(withStepUp(work, ask)).rejects.toBe(error);
    expect(work).toHaveBeenCalledTimes(1);
  });
});

function Deleter({ work }: { work: () => Promise<string> }) {
  const action = useAction(work);
  return (
    <>
      <button type="button" onClick={() => void action.run()}>
        Delete
      </button>
      <Problem error={action.error} />
      <p>{action.busy ? "busy" : "idle"}</p>
    </>
  );
}

function show(work: () => Promise<string>) {
  render(
    <StepUpDialog>
      <Deleter work={work} />
    </StepUpDialog>,
  );
  return userEvent.setup();
}

describe("StepUpDialog", () => {
  it("takes the password, then goes on with what was begun", async () => {
    const work = vi.fn().mockRejectedValueOnce(STEP_UP).mockResolvedValueOnce("gone");
    const user = show(work);
    await user.click(screen.getByRole("button", { name: "Delete" }));
    await user.type(await screen.findByLabelText("Password"), "a secret");
    expect(screen.queryByRole("button", { name: "Use the authenticator" })).toBeNull();
    expect(screen.queryByRole("button", { name: "Use a passkey" })).toBeNull();
    await user.click(screen.getByRole("button", { name: "Go on" }));
    await waitFor(() => {
      expect(work).toHaveBeenCalledTimes(2);
    });
    expect(call).toHaveBeenCalledWith("/foundation/users/step-up", { method: "POST", body: { password: "a secret" } });
    expect(screen.queryByLabelText("Password")).toBeNull();
    expect(screen.queryByRole("alert")).toBeNull();
  });

  it("takes a code of the authenticator, and says when it is wrong", async () => {
    withFactors(true);
    vi.mocked(call).mockRejectedValueOnce(new ApiError(400, "INVALID_CODE", "no"));
    const user = show(vi.fn().mockRejectedValueOnce(STEP_UP).mockResolvedValueOnce("gone"));
    await user.click(screen.getByRole("button", { name: "Delete" }));
    await user.click(await screen.findByRole("button", { name: "Use the authenticator" }));
    await user.type(screen.getByLabelText("Code of your authenticator"), "123456");
    await user.click(screen.getByRole("button", { name: "Go on" }));
    // There is nothing that could be asked for.
    expect(await screen.findByText(/^That code is wrong, or was used. Type the next one/)).toBeDefined();
    expect(screen.getByLabelText("Code of your authenticator").getAttribute("aria-invalid")).toBe("true");
    expect(call).toHaveBeenCalledWith("/foundation/users/step-up", { method: "POST", body: { code: "123456" } });
    await user.click(screen.getByRole("button", { name: "Use the password" }));
    expect(screen.getByLabelText("Password").getAttribute("aria-invalid")).toBe("false");
  });

  it("says of a wrong password that it is wrong, and of no address, for which nobody asked", async () => {
    vi.mocked(call).mockRejectedValueOnce(new ApiError(401, "INVALID_CREDENTIALS", "no"));
    const user = show(vi.fn().mockRejectedValue(STEP_UP));
    await user.click(screen.getByRole("button", { name: "Delete" }));
    await user.type(await screen.findByLabelText("Password"), "not it");
    await user.click(screen.getByRole("button", { name: "Go on" }));
    expect(await screen.findByText("This is not your password.")).toBeDefined();
    expect(screen.queryByRole("alert")).toBeNull();
  });

  it("says beside the field what is not about it", async () => {
    vi.mocked(call).mockRejectedValueOnce(new ApiError(429, "RATE_LIMIT_EXCEEDED", "no", undefined, 30));
    const user = show(vi.fn().mockRejectedValue(STEP_UP));
    await user.click(screen.getByRole("button", { name: "Delete" }));
    await user.type(await screen.findByLabelText("Password"), "a secret");
    await user.click(screen.getByRole("button", { name: "Go on" }));
    expect((await screen.findByRole("alert")).textContent).toMatch(/^Too many tries/);
    expect(screen.getByLabelText("Password").getAttribute("aria-invalid")).toBe("false");
  });

  it("takes a passkey, for which no password is needed", async () => {
    withFactors(false, [{ id: "p" }]);
    vi.mocked(askForPasskey)
      .mockRejectedValueOnce(new PageError("No passkey was chosen."))
      .mockResolvedValueOnce({ id: "bad" })
      .mockResolvedValueOnce({ id: "good" });
    const asks = { options: { challenge: "c" } };
    vi.mocked(call)
      .mockResolvedValueOnce(asks)
      .mockResolvedValueOnce(asks)
      .mockRejectedValueOnce(new ApiError(400, "INVALID_PASSKEY", "no"))
      .mockResolvedValueOnce(asks);
    const work = vi.fn().mockRejectedValueOnce(STEP_UP).mockResolvedValueOnce("gone");
    const user = show(work);
    await user.click(screen.getByRole("button", { name: "Delete" }));
    const passkey = await screen.findByRole("button", { name: "Use a passkey" });
    await user.click(passkey);
    expect((await screen.findByRole("alert")).textContent).toBe("No passkey was chosen.");
    await user.click(passkey);
    // Nobody is signing in here.
    expect(await screen.findByText(/^That passkey was not accepted. Try again, or prove it/)).toBeDefined();
    await user.click(passkey);
    await waitFor(() => {
      expect(work).toHaveBeenCalledTimes(2);
    });
    expect(askForPasskey).toHaveBeenCalledWith({ challenge: "c" });
    expect(vi.mocked(call).mock.calls.slice(-2)).toEqual([
      ["/foundation/users/step-up/passkey/options", { method: "POST" }],
      ["/foundation/users/step-up", { method: "POST", body: { credential: { id: "good" } } }],
    ]);
    expect(screen.queryByLabelText("Password")).toBeNull();
  });

  it("leaves everything as it was when it is closed", async () => {
    const work = vi.fn().mockRejectedValue(STEP_UP);
    const user = show(work);
    await user.click(screen.getByRole("button", { name: "Delete" }));
    await user.click(await screen.findByRole("button", { name: "Close" }));
    expect((await screen.findByRole("alert")).textContent).toMatch(/^Prove first/);
    expect(work).toHaveBeenCalledTimes(1);
    expect(screen.getByText("idle")).toBeDefined();
  });
});
