/** One answer of `bun run parse --json-lines`: what came out of a model in, what it means out. */
import { foldDeltas, type ParsedAnswer, type ParsedDelta } from "./answer-parser.ts";
import { NO_PARSER, ParserNameError } from "./names.ts";
import { type ParserChoice, parserFor, type ThinkingRequest } from "./parser-for.ts";
import type { ToolShape } from "./scan/reader.ts";

export type LineAnswer = ParsedAnswer & { readonly finish_reason: string };

/** A line that cannot be answered: what is wrong with it, in one sentence. */
export class LineError extends Error {
  readonly code = "bad_line";
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * @param line `{tool_call_parser, reasoning_parser, tools, request?, finish, deltas: [text…]}`
 * @param defaults names for lines that do not say them
 * @returns one line of JSON: an answer, or `{"error": …}`
 */
export function parseLine(line: string, defaults: ParserChoice = {}): string {
  try {
    return JSON.stringify(answerOf(readLine(line), defaults));
  } catch (error) {
    if (error instanceof LineError || error instanceof ParserNameError) {
      return JSON.stringify({ error: error.message });
    }
    throw error;
  }
}

function readLine(line: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new LineError(`the line is no JSON: ${(error as Error).message}`);
  }
  if (!isObject(value)) throw new LineError("the line is no JSON object");
  return value;
}

function answerOf(line: Json, defaults: ParserChoice): LineAnswer {
  const { deltas } = line;
  const finish = line["finish"] ?? "stop";
  if (!Array.isArray(deltas) || deltas.some((text) => typeof text !== "string")) {
    throw new LineError('"deltas" has to be a list of strings');
  }
  if (typeof finish !== "string") throw new LineError('"finish" has to be a string');
  const request = line["request"] ?? {};
  if (!isObject(request)) throw new LineError('"request" has to be an object');
  const kwargs = request["chat_template_kwargs"] ?? {};
  if (!isObject(kwargs)) throw new LineError('"request.chat_template_kwargs" has to be an object');
  return parseWhole(
    {
      tool: nameIn(line, "tool_call_parser") ?? defaults.tool,
      reasoning: nameIn(line, "reasoning_parser") ?? defaults.reasoning,
      tools: line["tools"] === undefined ? defaults.tools : readTools(line["tools"]),
      request: request as ThinkingRequest,
    },
    deltas as string[],
    finish,
  );
}

/** Throws ParserNameError. */
export function parseWhole(
  choice: ParserChoice,
  texts: readonly string[],
  finish: string,
): LineAnswer {
  const parser = parserFor(choice);
  const deltas: ParsedDelta[] = [];
  for (const text of texts) for (const delta of parser.push(text)) deltas.push(delta);
  const end = parser.end(finish);
  for (const delta of end.deltas) deltas.push(delta);
  return { ...foldDeltas(deltas), finish_reason: end.finish_reason };
}

/** null and "" stand for no parser. */
function nameIn(line: Json, field: string): string | undefined {
  const name = line[field];
  if (name === undefined) return undefined;
  if (name === null || name === "") return NO_PARSER;
  if (typeof name !== "string") throw new LineError(`"${field}" has to be a string`);
  return name;
}

/** Tools as requests have them, `{type: "function", function: {…}}`, or the functions alone. */
export function readTools(value: unknown): ToolShape[] {
  if (value === null) return [];
  if (!Array.isArray(value)) throw new LineError('"tools" has to be a list');
  return value.map((tool, index) => {
    const shape = isObject(tool) && isObject(tool["function"]) ? tool["function"] : tool;
    if (!isObject(shape) || typeof shape["name"] !== "string") {
      throw new LineError(`"tools[${index}]" has no name`);
    }
    return { name: shape["name"], parameters: shape["parameters"] };
  });
}
