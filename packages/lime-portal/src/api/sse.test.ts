import { expect, test } from "vitest";

import { EventParser } from "./sse";

function parsed(...pieces: string[]): string[] {
  const parser = new EventParser();
  return pieces.flatMap((piece) => parser.feed(piece));
}

test("an event is given when its empty line has come", () => {
  const parser = new EventParser();
  expect(parser.feed('data: {"a":1}\n')).toEqual([]);
  expect(parser.feed("\n")).toEqual(['{"a":1}']);
});

test("it does not matter where the network cuts", () => {
  const text = 'data: {"a":1}\r\n\r\n: keepalive\r\n\r\ndata:two\r\ndata: lines\r\n\r\n';
  for (let at = 0; at <= text.length; at += 1) {
    expect(parsed(text.slice(0, at), text.slice(at))).toEqual(['{"a":1}', "two\nlines"]);
  }
  expect(parsed(...text.split(""))).toEqual(['{"a":1}', "two\nlines"]);
});

test("all three line breaks are understood", () => {
  expect(parsed("data: a\n\n", "data: b\r\r", "data: c\r\n\r\n")).toEqual(["a", "b", "c"]);
});

test("comments and other fields are no events", () => {
  expect(parsed(": keepalive\n\nid: 7\nevent: x\nretry: 5\n\n")).toEqual([]);
  expect(parsed("id: 7\ndata: a\n\n")).toEqual(["a"]);
});

test("a field without a value is an empty line of data, and a longer name is another field", () => {
  expect(parsed("data\n\n", "data:\n\n", "database: no\n\n")).toEqual(["", ""]);
});

test("what is cut off before its empty line is never given", () => {
  expect(parsed("data: half")).toEqual([]);
});
