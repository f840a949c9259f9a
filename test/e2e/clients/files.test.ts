/** The official `openai` package uploads, lists, reads and deletes files; what is wrong is said. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type OpenAI from "openai";
import { toFile } from "openai";
import { type Cluster, startCluster, until } from "../../support/cluster.ts";
import { annAndBob, refusal, TWO_KEYS } from "./two-keys.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-files-"));
let cluster: Cluster;
let ann: OpenAI;
let bob: OpenAI;

beforeAll(async () => {
  cluster = await startCluster(["--engine", "echo", "--data-dir", folder, ...TWO_KEYS]);
  [ann, bob] = annAndBob(cluster);
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

test("a file goes up from a stream, is described, listed, read and deleted", async () => {
  const text = `${"a line of text\n".repeat(200_000)}é`;
  const parts = new ReadableStream<Uint8Array>({
    start(controller) {
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length; at += 65_536) {
        controller.enqueue(bytes.subarray(at, at + 65_536));
      }
      controller.close();
    },
  });
  const file = await ann.files.create({
    file: await toFile(new Response(parts), "ünï.jsonl"),
    purpose: "batch",
    expires_after: { anchor: "created_at", seconds: 3_600 },
  });
  expect(file).toMatchObject({ object: "file", purpose: "batch", filename: "ünï.jsonl" });
  expect(file.bytes).toBe(Buffer.byteLength(text));
  expect(file.expires_at).toBe(file.created_at + 3_600);
  expect(await ann.files.retrieve(file.id)).toEqual(file);
  expect(await (await ann.files.content(file.id)).text()).toBe(text);
  const other = await ann.files.create({
    file: await toFile(Buffer.from("x"), "b"),
    purpose: "user_data",
  });
  expect(other.expires_at).toBeUndefined();
  const ids: string[] = [];
  for await (const each of ann.files.list({ limit: 1 })) ids.push(each.id);
  expect(ids).toEqual([other.id, file.id]);
  const upwards = await ann.files.list({ order: "asc", purpose: "batch" });
  expect(upwards.data.map(({ id }) => id)).toEqual([file.id]);
  expect(await ann.files.delete(file.id)).toEqual({ id: file.id, object: "file", deleted: true });
  expect(await refusal(ann.files.retrieve(file.id))).toEqual([404, "file_not_found"]);
  expect(await refusal(ann.files.content(file.id))).toEqual([404, "file_not_found"]);
  await ann.files.delete(other.id);
});

test("another key's file is not there", async () => {
  const mine = await ann.files.create({
    file: await toFile(Buffer.from("x"), "a"),
    purpose: "batch",
  });
  for (const work of [
    bob.files.retrieve(mine.id),
    bob.files.content(mine.id),
    bob.files.delete(mine.id),
  ]) {
    expect(await refusal(work)).toEqual([404, "file_not_found"]);
  }
  expect((await bob.files.list()).data).toEqual([]);
  await ann.files.delete(mine.id);
});

test("what is wrong with an upload is named, and nothing of it is kept", async () => {
  const file = () => new File(["x"], "a.jsonl");
  const post = async (fields: readonly (readonly [string, string | File])[]) => {
    const body = new FormData();
    for (const [name, value] of fields) body.append(name, value);
    const headers = { authorization: "Bearer ann-key" };
    const response = await fetch(`${cluster.url}/v1/files`, { method: "POST", body, headers });
    const { error } = (await response.json()) as { error: { code: string; param: string | null } };
    return [response.status, error.code, error.param];
  };
  expect(await post([["file", file()]])).toEqual([400, "missing_required_parameter", "purpose"]);
  expect(await post([["purpose", "batch"]])).toEqual([400, "missing_required_parameter", "file"]);
  expect(
    await post([
      ["file", file()],
      ["purpose", "fun"],
    ]),
  ).toEqual([400, "invalid_value", "purpose"]);
  expect(
    await post([
      ["file", file()],
      ["purpose", "batch"],
      ["color", "red"],
    ]),
  ).toEqual([400, "unknown_parameter", "color"]);
  expect(
    await post([
      ["file", file()],
      ["purpose", "batch"],
      ["expires_after[anchor]", "created_at"],
      ["expires_after[seconds]", "12"],
    ]),
  ).toEqual([400, "invalid_value", "expires_after.seconds"]);
  expect(
    await post([
      ["file", file()],
      ["file", file()],
    ]),
  ).toEqual([400, "invalid_form", null]);
  const headers = { authorization: "Bearer ann-key", "content-type": "application/json" };
  const json = await fetch(`${cluster.url}/v1/files`, { method: "POST", body: "{}", headers });
  expect(json.status).toBe(415);
  const list = await fetch(`${cluster.url}/v1/files?limit=0`, { headers });
  expect(list.status).toBe(400);
  expect((await ann.files.list()).data).toEqual([]);
  expect(readdirSync(join(folder, "files"))).toEqual([]);
});

test("an upload that is too large is refused before it is read", async () => {
  const { hostname, port } = new URL(cluster.url);
  const socket = connect(Number(port), hostname);
  let answer = "";
  socket.on("data", (bytes) => {
    answer += bytes.toString();
  });
  socket.write(
    "POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann-key\r\n" +
      "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 700000000\r\n\r\n",
  );
  await until("the refusal", 5_000, () => answer.includes("file_too_large"));
  expect(answer).toStartWith("HTTP/1.1 413");
  socket.destroy();
});

test("an upload that is cut off leaves nothing behind", async () => {
  const { hostname, port } = new URL(cluster.url);
  const socket = connect(Number(port), hostname);
  const begun =
    "--b\r\nContent-Disposition: form-data; name=purpose\r\n\r\nbatch\r\n" +
    "--b\r\nContent-Disposition: form-data; name=file; filename=cut.jsonl\r\n\r\n" +
    "half of a line ".repeat(20_000);
  socket.write(
    "POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann-key\r\n" +
      `Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n${begun}`,
  );
  const kept = () => readdirSync(join(folder, "files")).length;
  await until("the first bytes lie on the disk", 5_000, () => kept() === 1);
  socket.destroy();
  await until("they are gone", 5_000, () => kept() === 0);
  expect((await ann.files.list()).data).toEqual([]);
});
