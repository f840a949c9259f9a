/**
 * Chat templates of a folder here against what transformers rendered:
 *
 *     bun test/support/template/template-compare.ts conversations > C.json
 *     python test/support/template/template-reference.py FOLDER C.json R.json
 *     bun test/support/template/template-compare.ts FOLDER C.json R.json [--show N]
 *
 * `cases` prints the small templates of `template-cases.ts` for their references.
 * Prints how many are equal, differ, or are refused by one side alone, and what differs.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { compileChatTemplate } from "../../../llm/template/chat-template.ts";
import { cases, caseVariables } from "./template-cases.ts";
import { type Conversation, conversations } from "./template-conversations.ts";

const [what = "", ...files] = process.argv.slice(2);
const now_ms = Date.UTC(2026, 1, 3, 14, 5, 9);

type Reference = string | { readonly error: string };

/** The text, or why there is none. */
function rendered(source: string, given: Conversation): Reference {
  const { variables, documents, ...rest } = given;
  const more = documents === undefined ? {} : { documents };
  try {
    return compileChatTemplate(source).render({
      ...rest,
      variables: { ...more, ...variables },
      bos_token: "<s>",
      eos_token: "</s>",
      now_ms,
    });
  } catch (thrown) {
    return { error: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

function compare(folder: string, given: string, references: string, shown: number): void {
  const cases = JSON.parse(readFileSync(given, "utf8")) as Conversation[];
  const texts = JSON.parse(readFileSync(references, "utf8")) as Record<
    string,
    Record<string, Reference>
  >;
  const counts = { equal: 0, both_refuse: 0, differ: 0, refused_here: 0, refused_there: 0 };
  const lines: string[] = [];
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".jinja"))) {
    const source = readFileSync(join(folder, name), "utf8");
    for (const one of cases) {
      const there = texts[name]?.[one.name] ?? { error: "no reference" };
      const here = rendered(source, one);
      const kind = kindOf(here, there);
      counts[kind] += 1;
      if (kind === "differ" || kind === "refused_here") {
        lines.push(`${kind} ${name} / ${one.name}\n${difference(here, there)}`);
      }
    }
  }
  for (const line of lines.slice(0, shown)) console.log(line);
  console.log(JSON.stringify(counts));
}

function kindOf(here: Reference, there: Reference) {
  if (typeof there !== "string") return typeof here === "string" ? "refused_there" : "both_refuse";
  if (typeof here !== "string") return "refused_here";
  return here === there ? "equal" : "differ";
}

function difference(here: Reference, there: Reference): string {
  if (typeof here !== "string" || typeof there !== "string") return `  ${JSON.stringify(here)}`;
  let at = 0;
  while (here[at] === there[at]) at += 1;
  const around = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 40), at + 60));
  return `  here:  ${around(here)}\n  there: ${around(there)}`;
}

if (what === "conversations") console.log(JSON.stringify(conversations()));
else if (what === "cases") {
  console.log(JSON.stringify({ variables: caseVariables, templates: cases }));
} else {
  const flag = files.indexOf("--show");
  compare(what, files[0] ?? "", files[1] ?? "", flag === -1 ? 10 : Number(files[flag + 1]));
}
