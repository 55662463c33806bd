import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { Ask } from "./ask";

const PDF = new File(["%PDF-1.7"], "id.pdf");
const PAGE = new File(["<html>"], "page.pdf");

let bodies: unknown[];
let answer: { status: number; body: unknown };
const asked = vi.fn(() => Promise.resolve());

beforeEach(() => {
  bodies = [];
  answer = { status: 201, body: { ok: true, data: { case_id: "c" } } };
  asked.mockClear();
  vi.stubGlobal("fetch", (_url: string, init: RequestInit) => {
    bodies.push(JSON.parse(init.body as string));
    return Promise.resolve(new Response(JSON.stringify(answer.body), { status: answer.status }));
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function refuse(field: string) {
  const error = { code: "INVALID_INPUT", message: "It does not fit.", detail: { field } };
  answer = { status: 400, body: { ok: false, error } };
}

async function send(...files: File[]) {
  // What a browser's file dialog only offers, a hand can still choose.
  const user = userEvent.setup({ applyAccept: false });
  if (files.length > 0) {
    await user.upload(screen.getByLabelText("Documents"), files);
  }
  await user.click(screen.getByRole("button", { name: "Ask for this level" }));
  return user;
}

it("sends documents for the level that was chosen", async () => {
  render(<Ask level={0} takesDocuments onAsked={asked} />);
  await userEvent.selectOptions(screen.getByLabelText("Level to ask for"), "2");
  await send(PDF);
  await vi.waitFor(() => {
    expect(asked).toHaveBeenCalledExactlyOnceWith({ case_id: "c" });
  });
  expect(bodies).toEqual([
    {
      target_level: 2,
      documents: [{ name: "id.pdf", content_type: "application/pdf", content_base64: btoa("%PDF-1.7") }],
    },
  ]);
});

it("offers only what is higher", () => {
  render(<Ask level={2} takesDocuments onAsked={asked} />);
  expect(screen.getAllByRole("option").map(({ textContent }) => textContent)).toEqual(["Level 3"]);
});

it("sends nothing without a document", async () => {
  render(<Ask level={0} takesDocuments onAsked={asked} />);
  await send();
  expect(screen.getByRole("alert").textContent).toBe("Choose at least one document.");
  expect(screen.getByLabelText("Documents").getAttribute("aria-invalid")).toBe("true");
  expect(bodies).toEqual([]);
});

it("names the file that is something else", async () => {
  render(<Ask level={0} takesDocuments onAsked={asked} />);
  await send(PDF, PAGE);
  expect((await screen.findByRole("alert")).textContent).toBe("page.pdf is no PDF, JPEG or PNG file.");
  expect(bodies).toEqual([]);
});

it("names the file that the server refused", async () => {
  refuse("documents.0");
  render(<Ask level={0} takesDocuments onAsked={asked} />);
  await send(PDF);
  expect((await screen.findByRole("alert")).textContent).toBe("id.pdf: It does not fit.");
  expect(asked).not.toHaveBeenCalled();
});

it.each(["documents", "target_level"])("shows what else the server refused (%s)", async (field) => {
  refuse(field);
  render(<Ask level={0} takesDocuments onAsked={asked} />);
  await send(PDF);
  expect((await screen.findByRole("alert")).textContent).toContain("It does not fit.");
});

it("asks for no documents where a provider does its own", async () => {
  render(<Ask level={0} takesDocuments={false} onAsked={asked} />);
  expect(screen.queryByLabelText("Documents")).toBeNull();
  await send();
  await vi.waitFor(() => {
    expect(asked).toHaveBeenCalledOnce();
  });
  expect(bodies).toEqual([{ target_level: 1, documents: [] }]);
});
