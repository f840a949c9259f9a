/** Small templates of every kind, against the texts that transformers renders. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compileTemplate } from "../../../llm/template/compile/compile.ts";
import { formatTime } from "../../../llm/template/library/time.ts";
import { Callable } from "../../../llm/template/values/values.ts";
import { cases, caseVariables } from "../../support/template/template-cases.ts";

const file = join(import.meta.dir, "../../support/template/template-references.json");
type Reference = readonly [string, string | { readonly error: string }];
const references = JSON.parse(readFileSync(file, "utf8")) as readonly Reference[];

const now_ms = Date.UTC(2026, 1, 3, 14, 5, 9);

function rendered(source: string): string | { readonly error: string } {
  const variables = {
    __proto__: null,
    ...structuredClone(caseVariables),
    strftime_now: new Callable("strftime_now", ([format]) => formatTime(now_ms, String(format))),
  };
  try {
    return compileTemplate(source)(variables);
  } catch (thrown) {
    return { error: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

test("the references are those of the cases", () => {
  expect(references.map(([source]) => source)).toEqual([...cases]);
  expect(references.length).toBeGreaterThan(800);
});

test("what transformers renders is rendered, and the same", () => {
  const wrong: unknown[] = [];
  for (const [source, there] of references) {
    const here = rendered(source);
    if (typeof there === "string" && here !== there) wrong.push({ source, here, there });
  }
  expect(wrong).toEqual([]);
});

test("what transformers refuses is refused", () => {
  const taken = references.filter(
    ([source, there]) => typeof there !== "string" && typeof rendered(source) === "string",
  );
  expect(taken.map(([source]) => source)).toEqual([]);
});
