import { cleanup, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { SWRConfig } from "swr";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { call } from "@/api/client";
import { ApiError, explain } from "@/api/errors";
import type { PortalConfig } from "@/api/types";
import { solveInWorker } from "@/pow/in-worker";
import { CaptchaBox, useCaptcha } from "./captcha";
import { showTurnstile } from "./turnstile";

vi.mock("@/api/client");
vi.mock("@/pow/in-worker");
vi.mock("./turnstile");

beforeEach(() => {
  vi.resetAllMocks();
});
afterEach(cleanup);

function configured(captcha: PortalConfig["captcha"]) {
  vi.mocked(call).mockImplementation((path: string) =>
    Promise.resolve(
      path === "/foundation/portal-config" ? { captcha, first_owner: false } : { challenge: "c", difficulty: 9 },
    ),
  );
}

function Sender() {
  const captcha = useCaptcha();
  const [said, setSaid] = useState("");
  return (
    <>
      <CaptchaBox {...captcha.box} />
      <button
        type="button"
        onClick={() => {
          captcha.prove().then(
            (proof) => {
              setSaid(JSON.stringify(proof));
            },
            (error: unknown) => {
              setSaid(explain(error));
            },
          );
        }}
      >
        Send
      </button>
      <output>{said}</output>
    </>
  );
}

async function send() {
  render(
    <SWRConfig value={{ provider: () => new Map() }}>
      <Sender />
    </SWRConfig>,
  );
  await waitFor(() => {
    expect(call).toHaveBeenCalled();
  });
  const user = userEvent.setup();
  await user.click(screen.getByRole("button", { name: "Send" }));
  return user;
}

async function said(text: string | RegExp) {
  await waitFor(() => {
    expect(document.querySelector("output")?.textContent).toMatch(text);
  });
}

describe("useCaptcha", () => {
  it("brings nothing where a registration costs nothing", async () => {
    configured({ kind: "none", site_key: null });
    await send();
    await said("{}");
  });

  it("does the work, shows how far it is, and is quiet afterwards", async () => {
    configured({ kind: "pow", site_key: null });
    let finish: (nonce: string) => void = () => undefined;
    vi.mocked(solveInWorker).mockImplementation((_task, _signal, onProgress) => {
      onProgress?.(0.5);
      return new Promise((resolve) => {
        finish = resolve;
      });
    });
    await send();
    const bar = await screen.findByLabelText<HTMLProgressElement>("Work done");
    expect(bar.getAttribute("value")).toBe("0.5");
    finish("42");
    await said(JSON.stringify({ pow: { challenge: "c", nonce: "42" } }));
    expect(screen.queryByLabelText("Work done")).toBeNull();
  });

  it("can be stopped", async () => {
    configured({ kind: "pow", site_key: null });
    vi.mocked(solveInWorker).mockImplementation(
      (_task, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            reject(signal.reason as Error);
          });
        }),
    );
    const user = await send();
    await user.click(await screen.findByRole("button", { name: "Stop" }));
    await said(/^You stopped the work/);
    expect(screen.queryByLabelText("Work done")).toBeNull();
  });

  it("says what to do where the work cannot be done", async () => {
    configured({ kind: "pow", site_key: null });
    vi.mocked(solveInWorker).mockRejectedValue(new Error("the worker failed"));
    await send();
    await said(/try another browser/);
  });

  it("brings the token of Turnstile, and takes the box away with the form", async () => {
    configured({ kind: "turnstile", site_key: "k" });
    const remove = vi.fn();
    vi.mocked(showTurnstile).mockResolvedValue({ take: () => "t-1", remove });
    await send();
    await said(JSON.stringify({ turnstile_token: "t-1" }));
    expect(vi.mocked(showTurnstile).mock.calls[0]?.[1]).toBe("k");
    cleanup();
    await waitFor(() => {
      expect(remove).toHaveBeenCalledTimes(1);
    });
  });

  it("shows that the server cannot say what it costs, and asks again when the form is sent", async () => {
    vi.mocked(call).mockRejectedValue(new ApiError(503, "UNAVAILABLE", "x"));
    await send();
    expect((await screen.findByRole("alert")).textContent).toMatch(/cannot answer right now/);
    await said(/cannot answer right now/);
  });
});
