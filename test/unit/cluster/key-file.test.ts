import { expect, test } from "bun:test";
import { hashOf } from "../../../actors/frontend/access/key-rule.ts";
import { readKeyFile } from "../../../cluster/keys/key-file.ts";
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
