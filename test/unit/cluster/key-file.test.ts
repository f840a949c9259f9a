import { expect, test } from "bun:test";
import { hashOf } from "../../../actors/frontend/access/key-rule.ts";
import { readKeyFile, readKeyFileInParts } from "../../../cluster/keys/key-file.ts";
import { recordParts } from "../../../cluster/keys/record-parts.ts";
import { SettingsError } from "../../../cluster/settings/settings-error.ts";

const complaint = (text: string, path = "keys.yaml"): string => {
  try {
    readKeyFile(text, path);
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
  return "";
};

const hash = hashOf("sk-b");
const records = `# ours
keys:
  - name: team-a
    key: sk-a
    models: [toy, "qwen-*"]
    requests_per_minute: 60
    tokens_per_minute: 10_000
    requests_at_once: 4
    tokens_per_day: 1000000
    policy_class: batch
    strict_priority: -1
  - { name: b, key: sha256:${hash} }
`;

test("records say what a key may do; keys are kept as hashes", () => {
  const rules = [
    {
      ...{ name: "team-a", hash: hashOf("sk-a"), models: ["toy", "qwen-*"] },
      limits: {
        ...{ requests_per_minute: 60, tokens_per_minute: 10_000 },
        ...{ requests_at_once: 4, tokens_per_day: 1_000_000 },
      },
      ...{ policy_class: "batch", strict_priority: -1 },
    },
    { name: "b", hash },
  ];
  expect(readKeyFile(records, "keys.yaml")).toEqual({ lines: [], rules });
  // The form is known by the name of the file, or by its beginning.
  expect(readKeyFile(records, "keys").rules).toEqual(rules);
  const printed = `# For the client\n- name: b\n  key: sha256:${hash}\n`;
  expect(readKeyFile(printed, "keys").rules).toEqual([{ name: "b", hash }]);
  const json = JSON.stringify({ keys: [{ name: "b", key: `sha256:${hash}` }] });
  expect(readKeyFile(json, "keys.json").rules).toEqual([{ name: "b", hash }]);
  expect(JSON.stringify(rules)).not.toContain("sk-");
});

test("lines are keys that open everything", () => {
  const { lines, rules } = readKeyFile(`sk-a\r\n# no\n\n sha256:${hash} \n`, "keys");
  expect(lines).toEqual(["sk-a", `sha256:${hash}`]);
  expect(rules).toEqual([
    { name: "", hash: hashOf("sk-a") },
    { name: "", hash },
  ]);
});

const typos: readonly (readonly [text: string, says: string])[] = [
  [
    "keys:\n  - name: a\n    key: k\n    tokens_per_minit: 4\n",
    '4: unknown field "tokens_per_minit"; did you mean tokens_per_minute?',
  ],
  [
    "keys:\n  - name: a\n    key: k\n    color: red\n",
    '4: unknown field "color"; it is one of name, key, models,',
  ],
  [
    "keys:\n  - name: a\n    key: k\n    requests_per_minute: many\n",
    "4: requests_per_minute: a whole number from 1",
  ],
  [
    "keys:\n  - name: a\n    key: k\n    requests_per_minute: 0\n",
    "4: requests_per_minute: a whole number from 1",
  ],
  ["keys:\n  - name: a\n    key: k\n    models: []\n", "4: models: a list of names is needed"],
  ["keys:\n  - name: a\n    key: k\n    models:\n", "4: models has no value: give one"],
  ["keys:\n  - name: a\n    key: k\n    tokens_per_day: ~\n", "4: tokens_per_day has no value"],
  ["keys:\n  - name: a\n    key: k\n    policy_class: [b]\n", "4: policy_class: the name of one"],
  ["keys:\n  - name: a\n", "2: a needs its key"],
  ["keys:\n  - key: k\n", "2: name: 1 to 64 letters"],
  ["keys:\n  - name: a b\n    key: k\n", "2: name: 1 to 64 letters"],
  ["keys:\n  - name: a\n    key: sha256:12\n", "3: the hash of a has 64 hex digits"],
  ["keys:\n  - name: a\n    key: k k\n", "3: key: the key has a blank in it"],
  ["keys:\n  - name: a\n    key: k\n  - name: a\n    key: l\n", "4: the name a is there twice"],
  ["keys:\n  - name: a\n    key: k\n  - name: b\n    key: k\n", "4: the key of b is there twice"],
  ["keys:\n  - k\n", "2: each key is a record"],
  ["keys: 3\n", "1: give a list of keys"],
  ["keys:\n  - name: a\n    key: k\nmodels: []\n", '4: unknown name "models"'],
  ["keys:\n  - name: [a\n    key: k\n", "3: "],
  ["keys: []\n", "there is no key in keys.yaml"],
];

test.each(typos)("%j is refused with its line", (text, says) => {
  const said = complaint(text);
  expect(said).toStartWith("--api-key-file: ");
  expect(said).toContain(/^\d/.test(says) ? `keys.yaml:${says}` : says);
  expect(said.split("\n")).toHaveLength(1);
});

const many = (count: number, record: (i: number) => string) =>
  `# ours\nkeys:\n${Array.from({ length: count }, (_, i) => record(i)).join("")}`;
const plain = (i: number) => `  - name: k${i}\n    key: sk-${i}\n\n    # of team ${i}\n`;

test("a long file is read in parts, with a pause behind each, and says what it says as a whole", async () => {
  const text = many(1_000, plain);
  let pauses = 0;
  const pause = async () => {
    pauses += 1;
  };
  const file = await readKeyFileInParts(text, "keys.yaml", pause);
  expect(pauses).toBe(Math.ceil(1_000 / 64));
  expect(file).toEqual(readKeyFile(text, "keys.yaml"));
  expect(file.rules.map(({ name }) => name)).toEqual(
    Array.from({ length: 1_000 }, (_, i) => `k${i}`),
  );
  expect(
    recordParts(text)
      .map((part) => part.text)
      .join(""),
  ).toBe(text);
});

test("a mistake far down has its line, also one that is of the whole file", async () => {
  const with_typo = many(300, (i) => (i === 200 ? "  - name: k200\n    kei: x\n" : plain(i)));
  const line = 2 + 4 * 200 + 2;
  expect(complaint(with_typo)).toContain(
    `keys.yaml:${line}: unknown field "kei"; did you mean key?`,
  );
  const twice = many(300, (i) => plain(i === 299 ? 0 : i));
  expect(complaint(twice)).toContain(`keys.yaml:${2 + 4 * 299 + 1}: the name k0 is there twice`);
  const too_many = many(4_200, plain);
  expect(complaint(too_many)).toContain("at most 4096 keys are possible");
  const beside = `${many(200, plain)}models: []\n`;
  expect(complaint(beside)).toContain(`unknown name "models"`);
  const pause = async () => {};
  expect(readKeyFileInParts(with_typo, "keys.yaml", pause)).rejects.toThrow(`keys.yaml:${line}`);
});

test("what is not written as a list of records below each other is one part", () => {
  const whole = ["", "[{a: 1}]", '{"keys": []}', "keys: []\n", "x: 1\nkeys:\n  - a: 1\n"];
  const odd = ["keys:\n  - a: 1\n - b: 2\n", "keys:\n  - a: |\n  x\n", "- a: 1\nb: 2\n"];
  for (const text of [...whole, ...odd]) {
    expect(recordParts(text)).toEqual([{ text, lines_before: 0 }]);
  }
});
