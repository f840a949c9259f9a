/** Forms that an upload cannot be read from: what is said, and that nothing is kept. */
import { expect, test } from "bun:test";
import type { FileShelf } from "../../../actors/files/files.ts";
import { ApiError } from "../../../actors/frontend/api/api-error.ts";
import { receiveFile } from "../../../actors/frontend/api/files/receive-file.ts";

type Part = readonly [name: string, value: string, filename?: string];

const partText = ([name, value, filename]: Part): string => {
  const file = filename === undefined ? "" : `; filename="${filename}"`;
  return `--b\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n${value}\r\n`;
};
const form = (...parts: Part[]): string => `${parts.map(partText).join("")}--b--\r\n`;

async function received(body: string, boundary = "b") {
  const seen = { kept: 0, dropped: 0, stopped: 0 };
  const shelf = {
    limits: { file_bytes: 1_000 },
    checkRoom: async () => {},
    begin: () => ({
      append: async () => {},
      keep: async () => void seen.kept++,
      drop: async () => void seen.dropped++,
    }),
  };
  const pieces = [Buffer.from(body)];
  const upload = {
    type: `multipart/form-data; boundary=${boundary}`,
    length_bytes: body.length,
    next: async () => pieces.shift(),
    stop: () => void seen.stopped++,
  };
  const error: unknown = await receiveFile(shelf as unknown as FileShelf, "me", upload).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { error, seen };
}

const purpose: Part = ["purpose", "batch"];
const file: Part = ["file", "{}", "a.jsonl"];

test("a form with a file and its purpose is kept", async () => {
  const { error, seen } = await received(form(purpose, file));
  expect([error, seen]).toEqual([undefined, { kept: 1, dropped: 0, stopped: 0 }]);
});

test("any other is a 400 that says what is wrong", async () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [form(purpose), "missing_required_parameter", /'file'/],
    [form(purpose, ["file", "{}"]), "invalid_form", /no filename/],
    [form(purpose, ["file", "x".repeat(5_000)]), "invalid_form", /no filename/],
    [form(purpose, ["purpose", "vision"], file), "invalid_form", /'purpose' comes twice/],
    [form(purpose, file, file), "invalid_form", /two files/],
    [form(purpose, ["data", "{}", "a"]), "unknown_parameter", /name it 'file'/],
    [form(purpose, file).slice(0, -6), "upload_cut_off", /ended before/],
  ];
  for (const [body, code, what] of cases) {
    const { error, seen } = await received(body);
    expect(error).toBeInstanceOf(ApiError);
    expect([(error as ApiError).status, (error as ApiError).code]).toEqual([400, code]);
    expect((error as ApiError).message).toMatch(what);
    expect(seen).toEqual({ kept: 0, dropped: 1, stopped: 1 });
  }
  const { error } = await received(form(purpose, file), "c");
  expect((error as ApiError).code).toBe("invalid_form");
  expect((error as ApiError).message).toMatch(/boundary/);
});
