/**
 * A prefix of 1,024 tokens: computed by one engine, its blocks copied out, and into a second
 * engine, which answers from them. And what two running answers notice of the copies.
 */
import { type LlamaEngine, openLlama } from "../../../actors/engine/llama/llama.ts";
import { blockHashes } from "../../../llm/blocks/block-hash.ts";
import { buildShim } from "../../../native/build.ts";
import { NativeMovers, openKvShim } from "../../../native/kv/index.ts";
import { EngineDriver, request } from "../../support/engine/engine-driver.ts";
import type { Report } from "../bench.ts";
import { default_source, modelPath } from "../parts/engine.ts";
import { median, quantile, rounded } from "../statistics.ts";
import { block_size } from "./block-size.ts";

const PREFIX = 1_024;
const BLOCKS = PREFIX / block_size;
const ROUNDS = 7;
const ANSWER = 8;
const PAGE = 4_096;

/** The prefix and a few tokens that nobody has cached, different in each round. */
function promptOf(round: number): number[] {
  let state = (round + 1) * 2654435761;
  return Array.from({ length: PREFIX + 9 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 1_000 + ((state >>> 8) % 20_000);
  });
}

class Side {
  readonly driver: EngineDriver;
  #moved: (fault: string | undefined) => void = () => {};
  #handle = 1;

  constructor(readonly engine: LlamaEngine) {
    this.driver = new EngineDriver(engine);
    engine.blocks!.onMoved((_, moves) => this.#moved(moves.find((move) => move !== "moved")));
  }

  /** In place of `moved`, for moves that are not waited for. */
  onMoved(listener: () => void): void {
    this.#moved = listener;
  }

  /** Time in ms of a move of blocks. */
  async moved(start: (handle: number) => unknown): Promise<number> {
    const from_ms = performance.now();
    let over = false;
    let fault: string | undefined;
    this.#moved = (what) => {
      over = true;
      fault = what;
    };
    const refusal = start(this.#handle++);
    if (refusal !== undefined) throw new Error(`blocks are refused: ${JSON.stringify(refusal)}`);
    await this.driver.until(() => over);
    if (fault !== undefined) throw new Error(`a block did not move: ${fault}`);
    return performance.now() - from_ms;
  }

  /** Time in ms until the first token, how much was cached, and how likely the first token was. */
  async answer(prompt: readonly number[]) {
    const handle = 1_000 + this.#handle++;
    const from_ms = performance.now();
    const refusal = this.engine.submit(request(handle, prompt, ANSWER, { logprobs: 0 }));
    if (refusal !== undefined) throw new Error(refusal.message);
    const answer = this.driver.answer(handle);
    await this.driver.until(() => answer.tokens.length > 0);
    const ttft_ms = performance.now() - from_ms;
    await this.driver.until(() => answer.finished !== undefined);
    const cached = answer.finished!.cached_tokens;
    return { ttft_ms, cached, first: answer.logprobs[0]!.logprob.toFixed(2) };
  }
}

export async function benchEngineBlocks(report: Report): Promise<void> {
  const model = await modelPath(process.env.TROUPE_BENCH_MODEL ?? default_source);
  const movers = new NativeMovers(openKvShim((await buildShim()).source), { threads: 1, jobs: 1 });
  const options = { model, context_length: 2_048, kv_tokens: 16_384, block_size };
  const [one, two] = [new Side(await openLlama(options)), new Side(await openLlama(options))];
  try {
    const times = {
      ...{ prefill_ms: [] as number[], export_ms: [] as number[] },
      ...{ import_ms: [] as number[] },
      ...{ ttft_own_ms: [] as number[], ttft_warm_ms: [] as number[] },
    };
    await one.answer(promptOf(-1));
    const bytes = one.engine.blocks!.bytes();
    const stride = Math.ceil(bytes / PAGE) * PAGE;
    const region = movers.region("shared", stride * BLOCKS, { name: `/troupe-b-${process.pid}` });
    movers.unlink(`/troupe-b-${process.pid}`);
    const base = movers.address(region);
    const addresses = Array.from({ length: BLOCKS }, (_, i) => base + i * stride);
    for (let round = 0; round < ROUNDS; round += 1) {
      const tokens = Uint32Array.from(promptOf(round));
      const cold = await one.answer([...tokens]);
      const hashes = blockHashes(tokens, block_size).sequence_hashes;
      const targets = addresses.map((address, i) => ({ hash: hashes[i]!, address }));
      const port = one.engine.blocks!;
      times.export_ms.push(await one.moved((handle) => port.out(handle, targets, bytes)));
      const into = { tokens, first: 0, addresses };
      const other = two.engine.blocks!;
      times.import_ms.push(await two.moved((handle) => other.in(handle, into, bytes)));
      const warm = await two.answer([...tokens]);
      if (warm.cached !== PREFIX) throw new Error(`only ${warm.cached} tokens were cached`);
      // With its own blocks, so that both compute the same few tokens in the same batch. Later
      // tokens may differ: sums over the cells of a cache depend on where in it they lie.
      const own = await one.answer([...tokens]);
      if (warm.first !== own.first) throw new Error("the second engine begins otherwise");
      times.prefill_ms.push(cold.ttft_ms);
      times.ttft_own_ms.push(own.ttft_ms);
      times.ttft_warm_ms.push(warm.ttft_ms);
    }
    const medians = Object.fromEntries(
      Object.entries(times).map(([name, all]) => [name, rounded(median(all), 2)]),
    );
    report({ case: `engine, ${PREFIX} tokens`, block_size, block_bytes: bytes, ...medians });
    report({ case: "two answers beside copies", ...(await stalls(one, addresses, bytes)) });
    movers.freeRegion(region);
  } finally {
    for (const { engine } of [one, two]) await engine.close();
    await movers.close();
  }
}

/** Gaps between tokens of two answers, with and without copies out beside them, in turn. */
async function stalls(side: Side, addresses: readonly number[], bytes: number) {
  const hashes = blockHashes(Uint32Array.from(promptOf(0)), block_size).sequence_hashes;
  const targets = addresses.map((address, i) => ({ hash: hashes[i]!, address }));
  const gaps = { quiet: [] as number[], copying: [] as number[] };
  await side.answer(promptOf(0));
  for (let round = 0; round < 6; round += 1) {
    const kind = round % 2 === 0 ? "quiet" : "copying";
    const handles = [5_000 + 2 * round, 5_001 + 2 * round];
    for (const handle of handles) side.engine.submit(request(handle, [2, 100 + handle], 96));
    const answers = handles.map((handle) => side.driver.answer(handle));
    await side.driver.until(() => answers.every(({ tokens }) => tokens.length > 4));
    const copy = () => side.engine.blocks!.out(1, targets, bytes);
    let over = kind === "quiet";
    side.onMoved(() => {
      if (!over) copy();
    });
    if (!over) copy();
    let seen = 0;
    let last_ms = performance.now();
    await side.driver.until(() => {
      const made = answers[0]!.tokens.length;
      const now_ms = performance.now();
      if (made > seen) gaps[kind].push((now_ms - last_ms) / (made - seen));
      if (made > seen) [seen, last_ms] = [made, now_ms];
      return answers.every(({ finished }) => finished !== undefined);
    });
    over = true;
  }
  return {
    itl_ms: rounded(median(gaps.quiet), 2),
    itl_copying_ms: rounded(median(gaps.copying), 2),
    itl_p99_ms: rounded(quantile(gaps.quiet, 0.99), 2),
    itl_copying_p99_ms: rounded(quantile(gaps.copying, 0.99), 2),
    added_ms: rounded(median(gaps.copying) - median(gaps.quiet), 2),
  };
}
