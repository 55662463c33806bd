import { expect, test } from "vitest";

import { added, LONGEST_URI, MOST_URIS, problemOf } from "./redirect-uris";

test.each([
  "https://shop.example/lime/callback",
  "https://shop.example",
  "https://shop.example:8443/a?b=c&d=e@f",
  "http://127.0.0.1:8001/callback",
  "http://127.9.9.9/",
  "http://localhost:3000/callback",
  "http://app.localhost/callback",
  "http://[::1]:8001/callback",
])("%s is fit", (uri) => {
  expect(problemOf(uri)).toBeUndefined();
});

test.each([
  ["", /printable/],
  ["https://shop.example/a b", /printable/],
  ["https:\\\\shop.example", /printable/],
  ["https://shöp.example/", /printable/],
  ["shop.example/callback", /whole address/],
  ["/callback", /whole address/],
  ["https:shop.example", /whole address/],
  ["https:///callback", /whole address/],
  ["https://", /whole address/],
  ["javascript:alert(1)", /whole address/],
  ["ftp://shop.example/", /whole address/],
  ["http://shop.example/callback", /Use https/],
  ["http://127.0.0.1.evil.example/", /Use https/],
  ["http://localhost.evil.example/", /Use https/],
  ["https://me:secret@shop.example/", /user name/],
  ["https://me@shop.example/", /user name/],
  ["https://shop.example/#top", /after #/],
  ["https://*.shop.example/", /in full/],
  ["https://shop.example/*", /in full/],
  [`https://shop.example/${"a".repeat(LONGEST_URI)}`, /at most/],
])("%s is refused, and it is said why", (uri, problem) => {
  expect(problemOf(uri)).toMatch(problem);
});

test("a fit URI goes to the end of the list, without the space around it", () => {
  expect(added(["https://a.example/"], " https://b.example/ ")).toEqual({
    uris: ["https://a.example/", "https://b.example/"],
  });
});

test("the list holds nothing twice, nothing unfit, and not too many", () => {
  const full = Array.from({ length: MOST_URIS }, (_, index) => `https://shop.example/${index}`);
  expect(added(full, "https://shop.example/0")).toEqual({ problem: "It is on the list already." });
  expect(added(full, "https://shop.example/new")).toMatchObject({ problem: expect.stringMatching(/At most 20/) as string });
  expect(added([], "nonsense")).toMatchObject({ problem: expect.stringMatching(/whole address/) as string });
});
