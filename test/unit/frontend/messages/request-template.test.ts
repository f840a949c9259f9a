/** What an operator's template fills in, and which files are none. */
import { expect, test } from "bun:test";
import { dialects } from "../../../../actors/frontend/api/dialects.ts";
import {
  readRequestTemplate,
  withTemplate,
} from "../../../../actors/frontend/prompt/request-template.ts";
import { readSettings } from "../../../../cluster/settings/read-settings.ts";
import { SettingsError } from "../../../../cluster/settings/settings-error.ts";

const template = { model: "toy", temperature: 0.5, max_completion_tokens: 7 };
const limitsOf = (path: string) => dialects.find((dialect) => dialect.path === path)!.limit_fields;

const cases: readonly (readonly [path: string, body: object, filled: object])[] = [
  ["/v1/chat/completions", {}, template],
  ["/v1/chat/completions", { max_tokens: 3 }, { model: "toy", temperature: 0.5, max_tokens: 3 }],
  [
    "/v1/completions",
    { model: null, temperature: 0 },
    { model: "toy", temperature: 0, max_tokens: 7 },
  ],
  ["/v1/messages", { model: "m" }, { model: "m", temperature: 0.5, max_tokens: 7 }],
  ["/v1/embeddings", {}, {}],
];

for (const [path, body, filled] of cases) {
  test(`${path} ${JSON.stringify(body)} is filled in`, () => {
    expect(withTemplate(body, limitsOf(path), template)).toEqual(filled);
  });
}

test("a template may be of some fields alone", () => {
  expect(withTemplate({}, limitsOf("/v1/messages"), { temperature: 1 })).toEqual({
    temperature: 1,
  });
  expect(readRequestTemplate('{"temperature": 0}')).toEqual({ temperature: 0 });
  expect(readRequestTemplate(JSON.stringify(template))).toEqual(template);
});

test("a file that is no template stops the start, and says why", () => {
  for (const text of ["", "[]", '{"temperature": 3}', '{"top_p": 1}', '{"model": 7}']) {
    const start = () => readSettings(["--request-template", "t.json"], {}, "0", () => text);
    expect(start).toThrow(SettingsError);
    expect(start).toThrow("--request-template t.json");
  }
});
