import { describe, expect, it } from "vitest";

import type { ConsentQuestion } from "@/api/types";
import { clientAddress, destination, doubtAbout, requestOf, spell } from "./consent";

describe("requestOf", () => {
  it("reads the query as a form, and drops what has no value", () => {
    expect(requestOf("?client_id=https%3A%2F%2Fa.example%2Fc&scope=mcp+x&state=%26&resource=")).toEqual({
      client_id: "https://a.example/c", scope: "mcp x", state: "&",
    });
  });

  it("makes of a hostile name nothing but a name", () => {
    expect(Object.keys(requestOf("?__proto__=x&constructor=y"))).toEqual(["__proto__", "constructor"]);
  });
});

describe("clientAddress", () => {
  it.each(["https://a.example/cb?code=1", "http://127.0.0.1:4567/cb", "com.example.app:/cb?code=1"])("takes %s", (to) => {
    expect(clientAddress(to)).toBe(to);
  });

  it.each(["javascript:alert(1)//a.example", "data:text/html,x", "file:///etc/passwd", "blob:https://a.example/1", "/cb", ""])(
    "refuses %j",
    (to) => {
      expect(() => clientAddress(to)).toThrow(TypeError);
    },
  );
});

function asking(host: string | null, redirect_host: string, loopback = false): ConsentQuestion {
  return {
    client: {
      client_id: "c", name: "Editor", kind: host === null ? "registered" : "document", host, document_url: null,
    },
    redirect_host, loopback, resource: null, resource_host: null, scopes: [], remembered_agent_id: null, expires_in: 300,
  };
}

describe("doubtAbout", () => {
  it.each([
    [asking(null, "a.example"), /anybody can register under any name\. Allow this only if you have just come from a\.ex/u],
    [asking(null, "127.0.0.1:9", true), /any name, and any program on your computer can ask in it\. Allow this only if/u],
    [asking("a.example", "localhost:9", true), /^a\.example describes this program, but any program on your computer/u],
    [asking("a.example", "b.example"), /^You will go back to b\.example, which is not part of a\.example\./u],
    [asking("a.example", "evila.example"), /not part of/u],
  ])("warns of %j", (question, warning) => {
    expect(doubtAbout(question)).toMatch(warning);
  });

  it.each([asking("a.example", "a.example"), asking("A.example:8443", "app.a.example:444")])("trusts %j", (question) => {
    expect(doubtAbout(question)).toBeUndefined();
  });
});

it("says where the answer goes", () => {
  expect(destination({ loopback: true, redirect_host: "127.0.0.1:9" })).toBe("a program on your computer (127.0.0.1:9)");
  expect(destination({ loopback: false, redirect_host: "a.example" })).toBe("a.example");
});

it.each([
  [7_776_000, "90 days"], [86_400, "1 day"], [7_200, "2 hours"], [300, "5 minutes"], [60, "1 minute"], [30, "30 seconds"],
])("spells %d seconds", (seconds, text) => {
  expect(spell(seconds)).toBe(text);
});
