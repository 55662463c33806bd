import { act, renderHook } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import { useAction } from "./use-action";

describe("useAction", () => {
  it("does one thing at a time", async () => {
    let finish: (value: string) => void = () => undefined;
    const work = vi.fn(() => new Promise<string>((resolve) => { finish = resolve; }));
    const { result } = renderHook(() => useAction(work));
    let first: Promise<string | undefined> = Promise.resolve(undefined);
    act(() => {
      first = result.current.run();
    });
    expect(result.current.busy).toBe(true);
    await act(async () => {
      await expect(result.current.run()).resolves.toBeUndefined();
    });
    await act(async () => {
      finish("done");
      await expect(first).resolves.toBe("done");
    });
    expect(work).toHaveBeenCalledTimes(1);
    expect(result.current.busy).toBe(false);
  });

  it("keeps why it failed until the next try, or until told to forget", async () => {
    const wrong = new Error("no");
    const work = vi.fn().mockRejectedValueOnce(wrong).mockResolvedValueOnce(1).mockRejectedValueOnce(wrong);
    const { result } = renderHook(() => useAction(work));
    await act(() => result.current.run());
    expect(result.current.error).toBe(wrong);
    await act(() => result.current.run());
    expect(result.current.error).toBeUndefined();
    await act(() => result.current.run());
    act(() => {
      result.current.clear();
    });
    expect(result.current.error).toBeUndefined();
  });
});
