import { describe, expect, it } from "vitest";

import { START, signIn, type Happened, type SignIn } from "./sign-in";

const HALF: Happened = {
  what: "answered",
  state: { status: "SECOND_FACTOR_REQUIRED", methods: ["recovery_code", "totp"] },
};
const IN: Happened = { what: "answered", state: { status: "SIGNED_IN", methods: [] } };
const FACTOR: SignIn = { step: "factor", methods: ["totp", "recovery_code"], means: "totp" };
const DONE: SignIn = { step: "done" };

describe("signIn", () => {
  it.each<[string, SignIn, Happened, SignIn]>([
    ["a password is enough where there is no second factor", START, IN, DONE],
    ["a second factor is asked for, the best one first", START, HALF, FACTOR],
    ["a code completes it", FACTOR, IN, DONE],
    ["another method may be chosen", FACTOR, { what: "chose", means: "recovery_code" }, { ...FACTOR, means: "recovery_code" }],
    ["one that the owner does not have may not", FACTOR, { what: "chose", means: "passkey" }, FACTOR],
    ["there is nothing to choose before", START, { what: "chose", means: "totp" }, START],
    ["a half that lapsed begins with the password", FACTOR, { what: "lapsed" }, { step: "password", lapsed: true }],
    ["only a half can lapse", START, { what: "lapsed" }, START],
    ["one can start again", FACTOR, { what: "restarted" }, START],
    ["a sign-in that is done stays done", DONE, { what: "restarted" }, DONE],
    ["a late answer does not undo it", DONE, HALF, DONE],
  ])("%s", (_name, now, happened, next) => {
    expect(signIn(now, happened)).toEqual(next);
  });

  it("leaves out methods of a newer server", () => {
    const state = { status: "SECOND_FACTOR_REQUIRED", methods: ["dna", "passkey"] };
    expect(signIn(START, { what: "answered", state: state as never })).toEqual({
      step: "factor",
      methods: ["passkey"],
      means: "passkey",
    });
  });

  it("offers a recovery code where it knows nothing else", () => {
    expect(signIn(START, { what: "answered", state: { status: "SECOND_FACTOR_REQUIRED", methods: [] } })).toMatchObject({
      means: "recovery_code",
    });
  });
});
