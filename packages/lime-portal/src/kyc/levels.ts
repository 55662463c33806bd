export const HIGHEST_LEVEL = 3;

/** What each level says, from 0. */
export const LEVELS: readonly (readonly [string, string])[] = [
  ["Address only", "You can read mail at your address. Nobody has looked further."],
  ["Identity", "Somebody has looked at a proof of who you are, such as an identity card."],
  ["Identity and address", "Where you live or have your seat was looked at as well."],
  ["In full", "Whom you act for was looked at as well, such as an extract from a register of companies."],
];
