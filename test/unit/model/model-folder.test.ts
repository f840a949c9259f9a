import { afterEach, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import {
  checkOwnTemplate,
  readFacts,
  resolveModel,
  resolveTokenizer,
} from "../../../actors/model/model.ts";
import { templateFromBlob } from "../../../llm/model/model-card.ts";
import { rewriteGguf } from "../../support/engine/gguf-writer.ts";
import { makeWorld, type TestWorld } from "../../support/engine/model-world.ts";
import { smallTokenizer } from "../../support/tokens/small-tokenizer.ts";
import { headerOf, TINY_MODEL } from "../../support/tokens/vocabularies.ts";

const open: TestWorld[] = [];
afterEach(async () => {
  for (const made of open.splice(0)) await made.remove();
});

type Found = { readonly made: TestWorld; readonly folder: string };

async function folderWith(files: Record<string, string>): Promise<Found> {
  const made = await makeWorld({});
  open.push(made);
  const folder = `${made.folder}/some-model`;
  await mkdir(folder);
  for (const [name, text] of Object.entries(files)) await Bun.write(`${folder}/${name}`, text);
  return { made, folder };
}

const TOKENIZER = JSON.stringify(smallTokenizer());
const GGUF_ADVICE = /is a folder: name the file, such as .*some-model\/a\.gguf/;

async function refusal(result: Promise<{ kind: string; error?: Error }>): Promise<string> {
  const { error } = await result;
  if (error === undefined) throw new Error("a model came instead of a refusal");
  expect(error.message).not.toContain("\n");
  return error.message;
}

test("a folder with tokenizer.json is a model for engines without weights", async () => {
  const config = JSON.stringify({ model_type: "qwen3", max_position_embeddings: 512 });
  const files = { "tokenizer.json": TOKENIZER, "config.json": config, "README.md": "hi" };
  const { made, folder } = await folderWith(files);
  for (const source of [folder, `${folder}/`, `${folder}//`]) {
    const found = await resolveTokenizer(made.world, source);
    if (found.kind === "refused") throw found.error;
    expect(found.model).toEqual({
      kind: "folder",
      path: folder,
      files: Object.keys(files).slice(0, 2),
    });
    const facts = await readFacts(made.world, found.model, "name");
    expect(facts).toMatchObject({ name: "name", architecture: "qwen3", context_length: 512 });
  }
  const message = await refusal(resolveModel(made.world, folder));
  expect(message).toContain("has no weights: use --engine mocker or echo, or give a .gguf");
});

test("a folder with GGUF files is told to name one, unless its tokenizer is enough", async () => {
  const { made, folder } = await folderWith({ "a.gguf": "" });
  expect(await refusal(resolveModel(made.world, folder))).toMatch(GGUF_ADVICE);
  expect(await refusal(resolveTokenizer(made.world, folder))).toMatch(GGUF_ADVICE);
  await Bun.write(`${folder}/tokenizer.json`, TOKENIZER);
  expect(await refusal(resolveModel(made.world, folder))).toMatch(GGUF_ADVICE);
  expect((await resolveTokenizer(made.world, folder)).kind).toBe("model");
});

test("the template of a folder: its own file, tokenizer_config.json, chat_template.json", async () => {
  const text = (value: unknown) => JSON.stringify({ chat_template: value });
  const named = [
    { name: "tool_use", template: "tools" },
    { name: "default", template: "plain" },
  ];
  const cases: readonly (readonly [Record<string, string>, string])[] = [
    [{}, ""],
    [{ "chat_template.jinja": "a", "tokenizer_config.json": text("b") }, "a"],
    [{ "tokenizer_config.json": text("b"), "chat_template.json": text("c") }, "b"],
    [{ "tokenizer_config.json": "{}", "chat_template.json": text("c") }, "c"],
    [{ "chat_template.json": text({ default: "d", other: "e" }) }, "d"],
    [{ "tokenizer_config.json": text(named) }, "plain"],
    [{ "tokenizer_config.json": text(named.slice(0, 1)) }, "tools"],
    [{ "tokenizer_config.json": text(null) }, ""],
  ];
  for (const [files, template] of cases) {
    const { made, folder } = await folderWith({ "tokenizer.json": TOKENIZER, ...files });
    const found = await resolveTokenizer(made.world, folder);
    if (found.kind === "refused") throw found.error;
    const facts = await readFacts(made.world, found.model, "name");
    const blob = facts.blobs.get(facts.template_blob);
    expect(blob === undefined ? "" : templateFromBlob(blob)).toBe(template);
  }
});

test("a template that cannot be read names its file, and what to do", async () => {
  const broken = "{% for m in messages %}{{ m.content";
  const config = (template: string) => JSON.stringify({ chat_template: template });
  const cases: readonly (readonly [Record<string, string>, string | undefined])[] = [
    [{}, undefined],
    [{ "tokenizer_config.json": config("{{ messages[0].content }}") }, undefined],
    [{ "tokenizer_config.json": config(broken) }, "tokenizer_config.json"],
    [{ "tokenizer_config.json": config("{{ 1 }}"), "chat_template.jinja": broken }, ".jinja"],
    [{ "tokenizer_config.json": "{}", "chat_template.json": config(broken) }, "template.json"],
  ];
  for (const [files, name] of cases) {
    const { made, folder } = await folderWith({ "tokenizer.json": TOKENIZER, ...files });
    const found = await resolveTokenizer(made.world, folder);
    if (found.kind === "refused") throw found.error;
    const facts = await readFacts(made.world, found.model, "name");
    const checked = checkOwnTemplate(made.world, found.model, facts);
    if (name === undefined) await checked;
    else {
      const line = `${name}: the chat template cannot be read: `;
      await expect(checked).rejects.toThrow(line);
      await expect(checked).rejects.toThrow(
        "or give another template by --chat-template FILE|NAME",
      );
    }
  }
});

test("a GGUF's template is checked as well", async () => {
  const file = await Bun.file(TINY_MODEL).bytes();
  const value = { type: "string", value: "{% if %}" } as const;
  const bytes = rewriteGguf(file, headerOf(file), { "tokenizer.chat_template": value });
  const { made, folder } = await folderWith({});
  await Bun.write(`${folder}/m.gguf`, bytes);
  const found = await resolveModel(made.world, `${folder}/m.gguf`);
  if (found.kind === "refused") throw found.error;
  const facts = await readFacts(made.world, found.model, "name");
  const checked = checkOwnTemplate(made.world, found.model, facts);
  await expect(checked).rejects.toThrow(/m\.gguf: the chat template cannot be read/);
});

test("an empty folder, and no folder", async () => {
  const { made, folder } = await folderWith({});
  expect(await refusal(resolveModel(made.world, folder))).toContain("give the path of a .gguf");
  expect(await refusal(resolveTokenizer(made.world, folder))).toContain("with tokenizer.json, or");
  expect(await refusal(resolveTokenizer(made.world, `${folder}-not`))).toContain("check --model");
});

test("a file that git-lfs did not fetch", async () => {
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 11422654\n";
  const { made, folder } = await folderWith({ "tokenizer.json": pointer });
  expect(await refusal(resolveTokenizer(made.world, folder))).toContain("run git lfs pull");
});
