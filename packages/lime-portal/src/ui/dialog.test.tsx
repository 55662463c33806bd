import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";

import { Dialog } from "./dialog";

afterEach(cleanup);

function dialog(): HTMLDialogElement {
  return screen.getByRole("dialog", { hidden: true });
}

describe("Dialog", () => {
  it("is named by its title, and holds nothing while it is closed", () => {
    const { rerender } = render(<Dialog open={false} title="A question">inside</Dialog>);
    expect(screen.queryByText("inside")).toBeNull();
    expect(dialog().open).toBe(false);
    rerender(<Dialog open title="A question">inside</Dialog>);
    expect(dialog().open).toBe(true);
    expect(screen.getByRole("dialog", { name: "A question" }).textContent).toContain("inside");
  });

  it("asks its owner to close it, by the cross and by Escape", () => {
    const closed = vi.fn();
    render(<Dialog open title="A question" onClose={closed}>inside</Dialog>);
    fireEvent.click(screen.getByRole("button", { name: "Close" }));
    const cancel = new Event("cancel", { cancelable: true });
    fireEvent(dialog(), cancel);
    expect(closed).toHaveBeenCalledTimes(2);
    expect(cancel.defaultPrevented).toBe(true);
  });

  it("without a way to close it stays open, also when the browser closes it", () => {
    render(<Dialog open title="Your token">secret</Dialog>);
    expect(screen.queryByRole("button", { name: "Close" })).toBeNull();
    fireEvent(dialog(), new Event("cancel", { cancelable: true }));
    dialog().close();
    expect(dialog().open).toBe(true);
    expect(screen.getByText("secret")).toBeDefined();
  });

  it("closes when its owner says so", () => {
    const closed = vi.fn();
    const { rerender } = render(<Dialog open title="A question" onClose={closed}>inside</Dialog>);
    rerender(<Dialog open={false} title="A question" onClose={closed}>inside</Dialog>);
    expect(dialog().open).toBe(false);
    expect(closed).not.toHaveBeenCalled();
  });
});
