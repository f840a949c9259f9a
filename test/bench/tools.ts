/**
 * `bun run bench tools`: what 20 functions add to the time in which a frontend makes an answer to
 * start of a chat's body: JSON, checks, template, tokens, and the constraint where calls are held.
 * `first_ms` is the first request of a kind, `p50_ms` those that come after.
 */

import { prepareChat } from "../../actors/frontend/api/chat/chat.ts";
import { chatShape } from "../../actors/frontend/api/chat/chat-fields.ts";
import { checkShape } from "../../actors/frontend/api/check-body.ts";
import { buildServedModel, type ServedModel } from "../../actors/frontend/frontend.ts";
import { parseGguf } from "../../llm/model/gguf.ts";
import { modelFactsFromGguf } from "../../llm/model/model-card.ts";
import { realClock } from "../../runtime/real/clock.ts";
import { SeededRandom } from "../../runtime/simulation/random.ts";
import { TINY_MODEL } from "../support/tokens/vocabularies.ts";
import { fakeCard } from "../support/worlds/frontend-fakes.ts";
import type { Report } from "./bench.ts";
import { quantile, rounded } from "./statistics.ts";

const ROUNDS = 400;
const FUNCTIONS = 20;

export async function benchTools(report: Report): Promise<void> {
  let plain_ms = 0;
  for (const [kind, more] of [
    ["no functions", {}],
    ["20, auto", { tools: functions(false) }],
    ["20, required", { tools: functions(false), tool_choice: "required" }],
    ["20, strict", { tools: functions(true) }],
  ] as const) {
    const model = await modelOf();
    // Another model of the same kind has warmed the code; this one has seen no functions.
    const warm = await modelOf();
    const taken_ms: number[] = [];
    let first_ms = 0;
    let tokens = 0;
    for (let round = -20; round < ROUNDS; round++) {
      const body = JSON.stringify({
        model: "toy",
        messages: [{ role: "user", content: `What is the weather today? (${round})` }],
        ...more,
      });
      const start_ns = Bun.nanoseconds();
      const served = round < 0 ? warm : model;
      const { answers } = prepareChat(checkShape(JSON.parse(body), chatShape), served, context());
      const took_ms = (Bun.nanoseconds() - start_ns) / 1e6;
      if (round === 0) first_ms = took_ms;
      if (round > 0) taken_ms.push(took_ms);
      tokens = answers[0]!.prompt.length;
    }
    const p50_ms = quantile(taken_ms, 0.5);
    if (plain_ms === 0) plain_ms = p50_ms;
    report({
      case: kind,
      tokens,
      first_ms: rounded(first_ms, 3),
      p50_ms: rounded(p50_ms, 3),
      added_ms: rounded(p50_ms - plain_ms, 3),
    });
  }
}

const context = () => ({
  ...{ random: new SeededRandom(1), request: "r", deadline_ms: 1000, pin: "" },
  ...{ default_max_tokens: 500, timed: { begin: () => {}, end: () => {} } },
});

const functions = (strict: boolean) =>
  Array.from({ length: FUNCTIONS }, (_, i) => ({
    type: "function",
    function: {
      name: `look_up_${i}`,
      description: `Look up entry ${i} of the register, by name, place and time.`,
      strict,
      parameters: {
        type: "object",
        properties: {
          name: { type: "string", description: "The name as it stands in the register" },
          place: {
            type: "object",
            properties: { city: { type: "string" }, floor: { type: "integer" } },
          },
          tags: { type: "array", items: { enum: ["new", "old", "open"] }, maxItems: 4 },
          limit: { type: "integer", minimum: 1, maximum: 50 },
        },
        required: ["name", "limit"],
        additionalProperties: false,
      },
    },
  }));

async function modelOf(): Promise<ServedModel> {
  const file = await Bun.file(TINY_MODEL).bytes();
  const parsed = parseGguf(file, file.length);
  if (parsed.kind !== "header") throw new Error("the bundled model has no header");
  const facts = modelFactsFromGguf(parsed.header, "toy");
  const { tokenizer_blob, template_blob } = facts;
  const card = fakeCard({ tokenizer_blob, template_blob, context_length: 1_000_000 });
  return buildServedModel(card, facts.blobs, realClock());
}
