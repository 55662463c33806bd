import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { DOZES_AFTER, useAwake } from "./awake";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function pass(milliseconds: number) {
  act(() => {
    vi.advanceTimersByTime(milliseconds);
  });
}

test("a page that nobody touches dozes off, and wakes at a touch", () => {
  const { result, unmount } = renderHook(() => useAwake());
  pass(DOZES_AFTER - 30_000);
  expect(result.current).toBe(true);
  pass(60_000);
  expect(result.current).toBe(false);
  act(() => {
    document.body.dispatchEvent(new Event("pointermove", { bubbles: true }));
  });
  expect(result.current).toBe(true);
  unmount();
  expect(vi.getTimerCount()).toBe(0);
});

test("a page that cannot be seen is not awake", () => {
  const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
  const { result } = renderHook(() => useAwake());
  act(() => {
    document.dispatchEvent(new Event("visibilitychange"));
  });
  expect(result.current).toBe(false);
  hidden.mockReturnValue(false);
  act(() => {
    document.dispatchEvent(new Event("visibilitychange"));
  });
  expect(result.current).toBe(true);
});
