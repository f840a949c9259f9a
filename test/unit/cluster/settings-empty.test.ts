/** A setting that is given and empty is a variable that nobody filled in: said, never guessed. */
import { describe, expect, test } from "bun:test";
import { environmentTwin, flags } from "../../../cluster/settings/flags.ts";
import { readSettings } from "../../../cluster/settings/read-settings.ts";
import { SettingsError } from "../../../cluster/settings/settings-error.ts";

type Given = {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly yaml?: string;
  readonly keys?: string;
};

function read({ args = [], env = {}, yaml, keys = "" }: Given) {
  const config = yaml === undefined ? [] : ["--config", "c.yaml"];
  const file = (path: string) => (path === "c.yaml" ? (yaml ?? "") : keys);
  const command = readSettings([...args, ...config], env, "test", file);
  if (command.kind !== "run") throw new Error("it only printed");
  return command;
}

/** The one line of a refusal; undefined: it would start. */
function refusal(given: Given): string | undefined {
  try {
    read(given);
    return undefined;
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    expect(error.message).not.toContain("\n");
    return error.message;
  }
}

const valued = flags.filter(({ type }) => type !== "switch");
const isRead = (name: string, where: "environment" | "yaml") =>
  !flags.some((flag) => flag.name === name && flag.not_in?.includes(where));

describe.each(valued.map(({ name }) => [name] as const))("--%s", (name) => {
  const twin = environmentTwin(name);
  test("empty or blank is refused, as flag, in the environment and in YAML", () => {
    for (const empty of ["", " ", "\t \n"]) {
      expect(refusal({ args: [`--${name}`, empty] })).toMatch(`--${name} is empty`);
      expect(refusal({ args: [`--${name}=${empty}`] })).toMatch(`--${name} is empty`);
      expect(refusal({ env: { [twin]: empty } })).toMatch(`${twin} is empty`);
      if (!isRead(name, "yaml")) continue;
      const yaml = `${name}: ${JSON.stringify(empty)}\n`;
      expect(refusal({ yaml })).toMatch(`c.yaml: ${name} is empty`);
      expect(refusal({ yaml: `${name}: [${JSON.stringify(empty)}]\n` })).toMatch(
        `${name} is empty`,
      );
    }
    if (!isRead(name, "yaml")) return;
    expect(refusal({ yaml: `${name}: []\n` })).toMatch(`c.yaml: ${name} is empty`);
    expect(refusal({ yaml: `${name}: [null]\n` })).toMatch(name);
    expect(refusal({ yaml: `${name}: {}\n` })).toMatch(`${name} takes a plain value`);
  });

  test("a YAML key without a value is absent", () => {
    if (!isRead(name, "yaml")) return;
    const plain = read({ yaml: "" }).settings;
    for (const nothing of ["", "null", "~", "Null", "  # later"]) {
      expect(read({ yaml: `${name}: ${nothing}\n` }).settings).toEqual(plain);
      const key = name.replaceAll("-", "_");
      expect(read({ yaml: `${key}: ${nothing}\n` }).settings).toEqual(plain);
    }
  });
});

test.each(flags.filter(({ type }) => type === "switch").map(({ name }) => [name] as const))(
  "switch --%s: empty is neither on nor off, and a YAML key without a value is absent",
  (name) => {
    const twin = environmentTwin(name);
    if (!["help", "version"].includes(name)) {
      expect(refusal({ args: [`--${name}=`] })).toMatch(`--${name} is empty`);
    }
    if (isRead(name, "environment")) {
      expect(refusal({ env: { [twin]: " " } })).toMatch(`${twin} is empty`);
    }
    if (!isRead(name, "yaml")) return;
    expect(refusal({ yaml: `${name}: ""` })).toMatch(`${name} is empty`);
    expect(read({ yaml: `${name}:\n` }).settings).toEqual(read({}).settings);
  },
);

test("a name of Dynamo's that is empty says nothing, as it is another program's", () => {
  for (const { env = [] } of flags) {
    for (const name of env)
      expect(read({ env: { [name]: "" } }).settings).toEqual(read({}).settings);
  }
});

describe("keys", () => {
  const open: readonly (readonly [string, Given])[] = [
    ["an empty flag", { args: ["--api-key", ""] }],
    ["one of two empty", { args: ["--api-key", "sk-a", "--api-key", " "] }],
    ["an empty variable", { env: { TROUPE_API_KEY: "" } }],
    ["a variable of commas", { env: { TROUPE_API_KEY: " , " } }],
    ["an empty variable under a flag", { args: ["--api-key", "a"], env: { TROUPE_API_KEY: "" } }],
    ["empty in YAML", { yaml: 'api-key: ""' }],
    ["an empty list", { yaml: "api-key: []" }],
    ["a list of nothing", { yaml: 'api-key: [""]' }],
    ["a list with a null", { yaml: "api-key:\n  -\n" }],
    ["an empty file", { args: ["--api-key-file", "keys"], keys: "" }],
    [
      "a file of blanks and remarks",
      { args: ["--api-key-file", "keys"], keys: "\uFEFF \r\n# no\n" },
    ],
    ["a file in the environment", { env: { TROUPE_API_KEY_FILE: "keys" }, keys: "\n" }],
    ["a file in YAML", { yaml: "api-key-file: keys", keys: "\n" }],
  ];
  test.each(open)("%s does not leave the server open", (_name, given) => {
    expect(refusal(given)).toMatch(/(api-key|API_KEY).* (is empty|takes a plain value|no key in)/);
  });

  const never: readonly (readonly [string, RegExp])[] = [
    [" sk-a", /begins or ends with a blank/],
    ["sk-a\t", /begins or ends with a blank/],
    ["sk-a\n", /begins or ends with a blank/],
    ["sk a", /has a blank in it/],
    ["schlüssel", /beyond visible ASCII/],
    ["sk-\u0000", /beyond visible ASCII/],
    ["sk-🔑", /beyond visible ASCII/],
    ["<hidden>", /what --dump-config shows/],
  ];
  test.each(never)("%j, which no client could send, is refused with the reason", (key, why) => {
    expect(refusal({ args: ["--api-key", key] })).toMatch(why);
    expect(refusal({ yaml: `api-key: [sk-b, ${JSON.stringify(key)}]` })).toMatch(why);
    // A file's lines are trimmed.
    if (key.trim() === key)
      expect(refusal({ args: ["--api-key-file", "f"], keys: key })).toMatch(why);
    if (key !== "<hidden>") expect(refusal({ args: ["--api-key", key] })).not.toContain(key.trim());
  });

  test("a key of a YAML file is what is written there", () => {
    const keys = (yaml: string) => read({ yaml }).settings.frontend.api_keys;
    expect(keys("api-key: 0123")).toEqual(["0123"]);
    expect(keys("api-key: [1e5, true, 12345678901234567890]")).toEqual([
      ...["1e5", "true", "12345678901234567890"],
    ]);
    expect(keys('api-key: "null"')).toEqual(["null"]);
    expect(keys("base: &k sk-a\napi-key: *k".replace("base", "model-name"))).toEqual(["sk-a"]);
    expect(read({ yaml: "model-name: 1.10" }).settings.models[0]?.name).toBe("1.10");
  });

  test("usable keys of all places are taken", () => {
    const given = { env: { TROUPE_API_KEY: "sk-a, sk-b" }, args: ["--api-key-file", "f"] };
    const { api_keys } = read({
      ...given,
      keys: "\uFEFF# ours\r\nsk-c\r\n\r\n sk-d \r\n",
    }).settings.frontend;
    expect(api_keys).toEqual(["sk-a", "sk-b", "sk-c", "sk-d"]);
  });
});

test("a YAML key that is there twice is refused, also when it is spelled in two ways", () => {
  expect(refusal({ yaml: "api-key: a\napi_key: b\n" })).toMatch(/api_key is there twice/);
  expect(refusal({ yaml: "port: 1\nport: 2\n" })).toMatch(/not valid YAML/);
});
