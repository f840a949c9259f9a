/**
 * A finished answer as one run of bytes. As objects it would be some ninety, and thousands of
 * answers are kept for a minute: every garbage collection would walk them, and few are ever read.
 *
 *   │ length │ Generate, as it came │ TokenBatch: all tokens, log probabilities and ends │
 */
import { codecs, type TokenBatch } from "../../../proto/index.ts";
import { newReader, newWriter } from "../../../runtime/codec.ts";
import type { LiveAnswer } from "./delivery.ts";
import { newTranscript, recordTokens, type Transcript } from "./transcript.ts";

/** A packed answer: the bytes, and the facts that are not in them. */
export type PackedAnswer = {
  readonly bytes: Uint8Array;
  readonly began_ms: number;
  readonly deadline_at_ms: number;
};

const HEAD_BYTES = 4;
const WRITER_BYTES_MAX = 1024 * 1024;
/** Shared by all answers, since packing one is synchronous. */
let writer = newWriter();

export function packAnswer(answer: LiveAnswer): PackedAnswer {
  const { generate, transcript, began_ms, deadline_at_ms } = answer;
  writer.pos = 0;
  writer.fixed32(0);
  codecs.Generate.encode(generate, writer);
  const split = writer.pos;
  codecs.TokenBatch.encode(batchOf(transcript), writer);
  // A copy of its own: what a writer gives out is a view of a buffer that many share.
  const bytes = writer.buf.slice(0, writer.pos);
  if (writer.buf.length > WRITER_BYTES_MAX) writer = newWriter();
  for (let i = 0; i < HEAD_BYTES; i++) bytes[i] = split >>> (8 * i);
  return { bytes, began_ms, deadline_at_ms };
}

/** The whole answer, without readers and without work in the engine. */
export function unpackAnswer({ bytes, began_ms, deadline_at_ms }: PackedAnswer): LiveAnswer {
  const reader = newReader(bytes);
  const split = reader.fixed32();
  const generate = codecs.Generate.decode(reader, split - HEAD_BYTES);
  const { choices, finished } = codecs.TokenBatch.decode(reader, bytes.length - split);
  const transcript = newTranscript(generate.choices, generate.prompt);
  for (const [at, choice] of transcript.choices.entries()) {
    const { tokens, logprobs } = choices[at]!;
    choice.tokens.length = 0;
    choice.logprobs.length = 0;
    recordTokens(choice, 0, tokens, logprobs);
    choice.finished = finished[at];
    choice.unwanted = true;
  }
  return {
    generate: { ...generate, kind: "generate" },
    transcript,
    readers: [],
    lost: undefined,
    began_ms,
    arrival: { arrived_ms: began_ms, transfer_ms: 0, trace: undefined },
    times: undefined,
    deadline_at_ms,
    deadline: undefined,
    grace: undefined,
    handles: new Map(),
    queue: undefined,
  };
}

/** Only whole answers are packed: every choice has an end. */
function batchOf({ choices }: Transcript): TokenBatch {
  return {
    kind: "token_batch",
    request: "",
    choices: choices.map(({ choice, tokens, logprobs }) => ({
      ...{ choice, first_index: 0, tokens, logprobs },
    })),
    finished: choices.map(({ finished }) => finished!),
  };
}
