import { act, renderHook, waitFor } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";

import { tokenIn, useFragmentToken } from "./fragment";

describe("tokenIn", () => {
  const token = `tk_${"a-_9".repeat(10)}`;
  it.each([
    [`#token=${token}`, token],
    ["", null],
    ["#content", null],
    ["#token=", null],
    ["#token=at_abc", null],
    [`#token=${token}&x=1`, null],
    [`#token=tk_${"a".repeat(61)}`, null],
  ])("%s", (hash, found) => {
    expect(tokenIn(hash)).toBe(found);
  });
});

describe("useFragmentToken", () => {
  afterEach(() => {
    window.location.hash = "";
  });

  it("takes the token out of the address and keeps it, and takes a newer one in its place", async () => {
    const none = renderHook(() => useFragmentToken());
    expect(none.result.current).toBeNull();
    none.unmount();
    window.location.hash = "#token=tk_one";
    const { result } = renderHook(() => useFragmentToken());
    expect(result.current).toBe("tk_one");
    await waitFor(() => {
      expect(window.location.href).not.toContain("tk_one");
    });
    expect(result.current).toBe("tk_one");
    act(() => {
      window.location.hash = "#token=tk_two";
      window.dispatchEvent(new Event("hashchange"));
    });
    expect(result.current).toBe("tk_two");
    expect(window.location.href).not.toContain("tk_two");
  });
});
