/** A door that needs no worker: a byte tokenizer, a made-up model, and answers played by script. */

import type { StartEmbedding } from "../../../actors/frontend/frontend.ts";
import {
  archiveOver,
  buildServedModel,
  ModelDirectory,
  type ServedModel,
} from "../../../actors/frontend/frontend.ts";
import { ConstraintCache } from "../../../actors/frontend/models/constraint-cache.ts";
import type { Conversation, Turn } from "../../../actors/frontend/prompt/turns.ts";
import type {
  AnswerHandle,
  AnswerPiece,
  AnswerRequest,
  AnswerSink,
  StartAnswer,
  StreamCommand,
} from "../../../actors/stream/stream.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import type { ModelCard, WorkerRecord } from "../../../proto/index.ts";
import type { Clock, Files } from "../../../runtime/capabilities.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import { absent } from "./test-system.ts";

const bos = 256;
const eos = 257;
const spelled: Readonly<Record<number, string>> = { [bos]: "<bos>", [eos]: "<eos>" };
const encoder = new TextEncoder();

/** One token a byte; `<bos>` and `<eos>` when asked for. */
export const byteTokenizer: Tokenizer = {
  vocab_size: 258,
  special: { bos, eos, eot: undefined, unk: undefined, pad: undefined, sep: undefined, eog: [eos] },
  add_bos: true,
  add_eos: false,
  add_space_prefix: false,
  control_texts: [],
  encode(text, { add_special }) {
    const bytes = encoder.encode(text);
    const tokens = new Uint32Array(bytes.length + (add_special ? 1 : 0));
    if (add_special) tokens[0] = bos;
    tokens.set(bytes, add_special ? 1 : 0);
    return tokens;
  },
  tokenBytes: (token) =>
    token < 256 ? Uint8Array.of(token) : encoder.encode(spelled[token] ?? ""),
  asciiText: () => undefined,
  isControl: (token) => token >= 256,
  isEog: (token) => token === eos,
};

export function fakeCard(card: Partial<ModelCard> = {}): ModelCard {
  return {
    name: "toy",
    architecture: "toy",
    engine: "fake",
    context_length: 1000,
    block_size: 16,
    total_blocks: 100,
    max_num_seqs: 8,
    max_num_batched_tokens: 512,
    embedding_size: 4,
    vocab_size: 258,
    tokenizer_blob: "",
    template_blob: "",
    defaults_blob: "",
    created_s: 1_700_000_000,
    build: "fake",
    capabilities: { constrains: true, adapters: false, salts: false },
    ...card,
  };
}

export const noParsers: ServedModel["parsers"] = {
  ...{ tool: "none", reasoning: "none", reasoning_field: "reasoning_content" },
  shownTokens: () => undefined,
};

/** Renders each turn as `[role]content;` and opens the assistant's with `[assistant]`. */
export function fakeModel(
  card: Partial<ModelCard> = {},
  more: Partial<ServedModel> = {},
): ServedModel {
  const whole = fakeCard(card);
  return {
    name: whole.name,
    card: whole,
    tokenizer: byteTokenizer,
    stand: undefined,
    defaults: {},
    parsers: noParsers,
    constraints: new ConstraintCache(),
    bos_text: "<bos>",
    eos_text: "<eos>",
    chat_template: "{{ messages }}",
    renderPair: (query, document) => ({ text: `${query}|${document}` }),
    renderChat: (messages, { add_generation_prompt }) => ({
      text:
        messages.map((turn) => `[${turn.role}]${String(turn.content)};`).join("") +
        (add_generation_prompt ? "[assistant]" : ""),
    }),
    ...more,
  };
}

export const fakeRecord = (card: Partial<ModelCard> = {}, worker = "w1"): WorkerRecord => ({
  worker,
  role: "aggregated",
  ref: {
    node: worker,
    path: "/worker",
    incarnation: new Uint8Array(8),
    address: `memory:${worker}`,
  },
  card: fakeCard(card),
  labels: [],
  taints: [],
});

export const fakeModels = (cards: readonly Partial<ModelCard>[] = [{}]): ModelDirectory => {
  const models = new ModelDirectory((card) => fakeModel(card));
  for (const [i, card] of cards.entries()) models.workerJoined(fakeRecord(card, `w${i}`));
  return models;
};

export const realModels = (clock: Parameters<typeof buildServedModel>[2]): ModelDirectory =>
  new ModelDirectory((card, blobs) => buildServedModel(card, blobs, clock));

export type Live = {
  readonly request: AnswerRequest;
  readonly sink: AnswerSink;
  readonly commands: StreamCommand[];
};

/** Remembers every answer that was started; `play` decides what becomes of it. */
export class FakeAnswers {
  readonly live: Live[] = [];
  play: (live: Live) => void;

  constructor(play: (live: Live) => void = playWords) {
    this.play = play;
  }

  readonly start: StartAnswer = (request, sink): AnswerHandle => {
    const live: Live = { request, sink, commands: [] };
    this.live.push(live);
    this.play(live);
    return { tell: (command) => void live.commands.push(command) };
  };

  get last(): Live {
    const live = this.live.at(-1);
    if (live === undefined) throw new Error("no answer was started");
    return live;
  }
}

/** `w0 w1 …` up to eight words in every choice, over a few ticks, then the end. */
export function playWords(live: Live): void {
  const total = Math.min(live.request.max_tokens, 8);
  let made = 0;
  const tick = () => {
    if (live.commands.some((command) => command.kind === "abandon")) return;
    for (let choice = 0; choice < live.request.choices; choice += 1) {
      live.sink.piece(wordPiece(live.request, choice, made));
    }
    made += 1;
    if (made < total) setImmediate(tick);
    else finish(live, total);
  };
  setImmediate(tick);
}

export function wordPiece(request: AnswerRequest, choice: number, index: number): AnswerPiece {
  const text = `w${index} `;
  const piece = { kind: "content" as const, choice, text, tokens: [index], delivered: index + 1 };
  if (request.logprobs < 0) return piece;
  const bytes = [...encoder.encode(text)];
  const top = Array.from({ length: request.logprobs }, (_, i) => ({
    token: `t${i}`,
    bytes: [116, 48 + i],
    logprob: -i,
  }));
  // The later choice is the better one, so that picking the best has something to do.
  return { ...piece, logprobs: [{ token: text, bytes, logprob: -10 / (choice + 1), top }] };
}

export function finish(live: Live, tokens: number): void {
  const { choices, prompt } = live.request;
  for (let choice = 0; choice < choices; choice += 1) live.sink.end({ choice, reason: "length" });
  live.sink.done({
    prompt_tokens: prompt.length,
    completion_tokens: tokens * choices,
    cached_tokens: 0,
  });
}

/** Every vector is [1, 0, 0, 0]; never refuses. */
export const fakeEmbedding: StartEmbedding = ({ request, inputs }) => ({
  abandon: () => {},
  result: Promise.resolve({
    kind: "embeddings",
    request,
    items: inputs.map((input) => ({
      values: new Uint8Array(Float32Array.of(1, 0, 0, 0).buffer),
      prompt_tokens: input.length,
    })),
  }),
});

/** Files that are gone with the test. */
export const emptyArchive = (clock: Clock) =>
  archiveOver({
    ...{ clock, store: new MemoryStore(), random: new SeededRandom(7) },
    files: absent<Files>("files"),
  });

/** Turns of texts, as a chat has them. */
export const plainConversation = (
  turns: readonly Pick<Turn, "role" | "content">[],
): Conversation => ({
  turns: turns.map((turn, i) => ({ ...turn, param: `messages[${i}].content` })),
  param: "messages",
  call_place: "the call",
});

/** A server without machines that have workers. */
export const noLora = {
  allowed: true,
  load: async () => ({ kind: "adapter_done", code: "away", message: "no machine" }) as const,
  unload: async () => ({ kind: "adapter_done", code: "away", message: "no machine" }) as const,
};
