/**
 * `bun run parse`: the parsers of tool calls and reasoning without a server.
 *
 *   bun run parse --tool-call-parser hermes --reasoning-parser qwen3 --tools tools.json < output
 *   bun run parse --json-lines < lines
 */
import { readFileSync } from "node:fs";
import { findParsers } from "../llm/parsers/auto.ts";
import {
  NO_PARSER,
  ParserNameError,
  REASONING_PARSERS,
  reasoningEntry,
  TOOL_PARSERS,
  toolEntry,
} from "../llm/parsers/names.ts";
import {
  type LineAnswer,
  LineError,
  parseLine,
  parseWhole,
  readTools,
} from "../llm/parsers/parse-line.ts";
import type { ParserChoice } from "../llm/parsers/parser-for.ts";
import { nearestName } from "./settings/nearest-name.ts";
import { SettingsError } from "./settings/settings-error.ts";

const HELP = `bun run parse [--tool-call-parser NAME] [--reasoning-parser NAME] [--template FILE]
              [--tools FILE] [--finish stop|length] [--thinking] [--json-lines]

Reads a model's output from standard input and prints the content, the reasoning and the calls
that are in it. NAME is "none" or one of docs/parsers.md.
--template: a chat template; names that are not given are found from it, and printed.
--tools: a request's "tools" as JSON. Without them a call is text, as in a request without tools.
--thinking: the request turned thinking on.
--json-lines: one answer a line, {"tool_call_parser", "reasoning_parser", "tools", "request",
"finish", "deltas": [text…]}; one line out for each, or {"error": …}.`;

const FLAGS = [
  "--tool-call-parser",
  "--reasoning-parser",
  "--template",
  "--tools",
  "--finish",
  "--thinking",
  "--json-lines",
  "--help",
];
const SWITCHES = ["--thinking", "--json-lines", "--help"];

try {
  await main(readFlags(process.argv.slice(2)));
} catch (error) {
  const known = error instanceof SettingsError || error instanceof LineError;
  console.error(`parse: ${known ? error.message : ((error as Error).stack ?? error)}`);
  process.exit(known ? 2 : 1);
}

async function main(flags: ReadonlyMap<string, string>): Promise<void> {
  if (flags.has("--help")) {
    console.log(HELP);
    return;
  }
  const tools = flags.get("--tools");
  const template = flags.get("--template");
  const found = template === undefined ? undefined : findParsers(fileText("--template", template));
  if (found !== undefined) {
    console.error(`parsers of ${template}: tool ${found.tool}, reasoning ${found.reasoning}`);
  }
  const choice: ParserChoice = {
    tool: knownName("tool", flags.get("--tool-call-parser")) ?? found?.tool,
    reasoning: knownName("reasoning", flags.get("--reasoning-parser")) ?? found?.reasoning,
    tools: tools === undefined ? undefined : toolsOf(tools),
    request: flags.has("--thinking") ? { chat_template_kwargs: { enable_thinking: true } } : {},
  };
  if (!flags.has("--json-lines")) {
    print(parseWhole(choice, [await Bun.stdin.text()], flags.get("--finish") ?? "stop"));
    return;
  }
  for await (const line of linesOf(Bun.stdin.stream())) {
    if (line.trim() !== "") await Bun.write(Bun.stdout, `${parseLine(line, choice)}\n`);
  }
}

function readFlags(argv: readonly string[]): Map<string, string> {
  const flags = new Map<string, string>();
  for (let i = 0; i < argv.length; i++) {
    const [flag = "", inline] = argv[i]!.split(/=(.*)/s);
    if (!FLAGS.includes(flag)) {
      const nearest = nearestName(flag, FLAGS);
      throw new SettingsError(`unknown flag ${flag}${nearest ? `; did you mean ${nearest}?` : ""}`);
    }
    if (SWITCHES.includes(flag)) {
      flags.set(flag, "");
      continue;
    }
    const value = inline ?? argv[++i];
    if (value === undefined) throw new SettingsError(`${flag} needs a value`);
    flags.set(flag, value);
  }
  return flags;
}

function knownName(kind: "tool" | "reasoning", name: string | undefined): string | undefined {
  try {
    if (kind === "tool") toolEntry(name);
    else reasoningEntry(name);
    return name;
  } catch (error) {
    if (!(error instanceof ParserNameError)) throw error;
    const names = Object.keys(kind === "tool" ? TOOL_PARSERS : REASONING_PARSERS);
    const nearest = nearestName(error.parser, [...names, NO_PARSER]);
    const hint = nearest ? `did you mean ${nearest}?` : `there are ${names.join(", ")}`;
    throw new SettingsError(`${error.message}; ${hint}`);
  }
}

function toolsOf(file: string): ReturnType<typeof readTools> {
  const text = fileText("--tools", file);
  try {
    return readTools(JSON.parse(text));
  } catch (error) {
    throw new SettingsError(`--tools ${file}: ${(error as Error).message}`);
  }
}

function fileText(flag: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new SettingsError(`${flag} ${file} cannot be read: ${(error as Error).message}`);
  }
}

function print(answer: LineAnswer): void {
  const row = (name: string, text: string) => console.log(`${name.padEnd(10)} ${text}`);
  if (answer.reasoning_content !== null) row("reasoning", JSON.stringify(answer.reasoning_content));
  if (answer.content !== null) row("content", JSON.stringify(answer.content));
  for (const call of answer.tool_calls) row("call", `${call.name} ${call.arguments}`);
  row("finish", answer.finish_reason);
}

/** Lines end with a line feed and nothing else: JSON may have other separators in its strings. */
async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  for await (const bytes of stream) {
    const [first = "", ...others] = decoder.decode(bytes, { stream: true }).split("\n");
    parts.push(first);
    for (const next of others) {
      yield parts.join("");
      parts = [next];
    }
  }
  parts.push(decoder.decode());
  yield parts.join("");
}
