import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { readSettings } from "../../../cluster/settings/read-settings.ts";
import type { Settings } from "../../../cluster/settings/settings.ts";
import { templateFor } from "../../../cluster/settings/template-settings.ts";
import { readText } from "../../../runtime/real/read-text.ts";

const files: Readonly<Record<string, string>> = {
  [resolve("./mine.jinja")]: "{{ messages }}",
  [resolve("./broken.jinja")]: "{% if %}",
  [resolve("./empty.jinja")]: " \n",
  [resolve("./include.jinja")]: "{% include 'a' %}{{ messages }}",
  [resolve("./filter.jinja")]: "{% for m in messages %}{{ m.content | nope }}{% endfor %}",
  [resolve("./endless.jinja")]:
    "{% for i in range(99999) %}{% for i in range(99999) %}{% endfor %}{% endfor %}",
  [resolve("./picky.jinja")]: "{{ raise_exception('no tools') if not tools }}{{ nope.nope }}",
  [resolve("./branch.jinja")]: "{% if documents %}{% include 'a' %}{% endif %}{{ messages }}",
  "c.yaml": "chat-template: llama3\n",
};

function settings(args: readonly string[], env: Record<string, string> = {}): Settings {
  const read = (path: string): string => {
    const text = files[path];
    if (text === undefined) throw new Error("no such file");
    return text;
  };
  const command = readSettings(args, env, "1", read);
  if (command.kind !== "run") throw new Error("it prints instead of running");
  return command.settings;
}

const given = (args: readonly string[], env: Record<string, string> = {}) =>
  settings(args, env).chat_templates;

test("a template is named, or is a file; flags, environment, YAML and Dynamo's name do the same", () => {
  expect(given([])).toEqual([]);
  expect(given(["--chat-template", "gemma"])).toEqual([{ name: "gemma" }]);
  expect(given(["--chat-template", "./mine.jinja"])).toEqual([{ file: resolve("./mine.jinja") }]);
  expect(given(["--custom-jinja-template", "./mine.jinja"])).toEqual([
    { file: resolve("./mine.jinja") },
  ]);
  expect(given([], { TROUPE_CHAT_TEMPLATE: "chatml" })).toEqual([{ name: "chatml" }]);
  expect(given([], { DYN_CUSTOM_JINJA_TEMPLATE: "chatml" })).toEqual([{ name: "chatml" }]);
  expect(given(["--config", "c.yaml"])).toEqual([{ name: "llama3" }]);
});

test("several models have each its own", () => {
  const models = ["--model", "a=x.gguf", "--model", "b=y.gguf"];
  const both = ["--chat-template", "a=gemma", "--chat-template", "b=./mine.jinja"];
  const templates = given([...models, ...both]);
  expect(templateFor(templates, "a")).toMatchObject({ name: "gemma" });
  expect(templateFor(templates, "b")).toMatchObject({ file: resolve("./mine.jinja") });
  expect(templateFor(given([...models, "--chat-template", "a=gemma"]), "b")).toBeUndefined();
});

const wrong: readonly (readonly [readonly string[], RegExp])[] = [
  [["--chat-template", "gema"], /gema: no built-in template has this name; there are .*gemma/],
  [["--chat-template", "./none.jinja"], /--chat-template: there is no readable file .*none\.jinja/],
  [
    ["--chat-template", "./broken.jinja"],
    /broken\.jinja: the chat template cannot be read: .*line 1/,
  ],
  [["--chat-template", "./empty.jinja"], /empty\.jinja: the file is empty: write a template/],
  [["--chat-template", "./include.jinja"], /can write no chat: {% include %}: a chat template has/],
  [["--chat-template", "./filter.jinja"], /can write no chat: there is no filter named 'nope'/],
  [["--chat-template", "./endless.jinja"], /the template does not end: more than 1000000 steps/],
  [["--chat-template", "gemma", "--chat-template", "chatml"], /one is given twice/],
  [
    ["--model", "a=x.gguf", "--model", "b=y.gguf", "--chat-template", "gemma"],
    /say of which model: MODEL=FILE\|NAME, MODEL one of a, b/,
  ],
];

test("a wrong name or file is one line that says what to do", () => {
  for (const [args, line] of wrong) {
    let message = "";
    try {
      settings(args);
    } catch (thrown) {
      message = (thrown as Error).message;
    }
    expect(message).toMatch(line);
    expect(message).not.toContain("\n");
  }
});

test("a template that refuses samples by its own words, or may not reach what fails, is taken", () => {
  for (const name of ["picky", "branch"]) {
    const file = resolve(`./${name}.jinja`);
    expect(given(["--chat-template", file])).toEqual([{ file }]);
  }
});

test("a file with a limit is a regular one, of UTF-8, and not larger", async () => {
  const folder = await mkdtemp(`${tmpdir()}/troupe-text-`);
  try {
    await Bun.write(`${folder}/good`, "\ufeffä");
    await Bun.write(`${folder}/latin`, new Uint8Array([0x61, 0xe4, 0x62]));
    expect(readText(`${folder}/good`, 5)).toBe("\ufeffä");
    expect(() => readText(`${folder}/good`, 4)).toThrow("more than 4 bytes: ");
    expect(() => readText(`${folder}/latin`, 9)).toThrow("latin is not UTF-8");
    expect(() => readText(folder, 9)).toThrow("is no regular file");
    expect(() => readText("/dev/zero", 9)).toThrow("/dev/zero is no regular file");
    expect(() => readText(`${folder}/none`, 9)).toThrow();
  } finally {
    await rm(folder, { recursive: true });
  }
});
