import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";

import { PageError } from "@/api/errors";
import { Confirm } from "./confirm";

afterEach(cleanup);

function show(work: () => Promise<void>) {
  render(
    <Confirm button="Delete" label="Delete Ada" title="Delete Ada?" confirm="Delete it" work={work}>
      <p>It is gone for good.</p>
    </Confirm>,
  );
  return userEvent.setup();
}

describe("Confirm", () => {
  it("does nothing before it is confirmed, and closes once it is done", async () => {
    const work = vi.fn().mockResolvedValue(undefined);
    const user = show(work);
    await user.click(screen.getByRole("button", { name: "Delete Ada" }));
    expect(screen.getByText("It is gone for good.")).toBeDefined();
    expect(work).not.toHaveBeenCalled();
    await user.click(screen.getByRole("button", { name: "Delete it" }));
    expect(work).toHaveBeenCalledTimes(1);
    expect(screen.queryByText("It is gone for good.")).toBeNull();
  });

  it("can be left", async () => {
    const work = vi.fn();
    const user = show(work);
    await user.click(screen.getByRole("button", { name: "Delete Ada" }));
    await user.click(screen.getByRole("button", { name: "Keep it as it is" }));
    expect(screen.queryByText("It is gone for good.")).toBeNull();
    expect(work).not.toHaveBeenCalled();
  });

  it("stays open with the reason when it fails, and forgets it when opened again", async () => {
    const user = show(vi.fn().mockRejectedValue(new PageError("Not now.")));
    await user.click(screen.getByRole("button", { name: "Delete Ada" }));
    await user.click(screen.getByRole("button", { name: "Delete it" }));
    expect(screen.getByRole("alert").textContent).toBe("Not now.");
    await user.click(screen.getByRole("button", { name: "Close" }));
    await user.click(screen.getByRole("button", { name: "Delete Ada" }));
    expect(screen.queryByRole("alert")).toBeNull();
  });
});
