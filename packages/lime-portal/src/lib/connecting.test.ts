import { expect, it } from "vitest";

import { isUnder, webAddress } from "./connecting";

it.each([
  ["shop.example", "shop.example", true],
  ["Shop.Example:8443", "shop.example", true],
  ["www.shop.example", "shop.example", true],
  ["evilshop.example", "shop.example", false],
  ["shop.example.evil.test", "shop.example", false],
  ["[::1]:80", "shop.example", false],
])("isUnder(%j, %j) is %j", (host, domain, under) => {
  expect(isUnder(host, domain)).toBe(under);
});

it.each(["javascript:alert(1)", "data:text/html,x", "/relative", "", "blob:https://a.example/x"])(
  "sends nobody to %j",
  (address) => {
    expect(() => webAddress(address)).toThrow(TypeError);
  },
);

it("leaves a web address as it is", () => {
  const address = "https://shop.example/back?binding_code=bc_1&state=x";
  expect(webAddress(address)).toBe(address);
});
