/**
 * Inputs of the adaptive cost, a row of numbers for each worker. A decision looks at every worker,
 * and with thousands of objects it would take a hundred times as long.
 *
 * A row is filled when something about its worker changed, and read at every decision until then.
 */

import {
  DONE_AT_MOST,
  othersTokens,
  type RoutedWorker,
  requestsThere,
  usedShare,
} from "../worker-state.ts";
import type { PassRates } from "./pass-rates.ts";

export const ROW = 16;
/** 1: the worker's rates are known. Without rates the times of its row are unset. */
export const RATED = 0;
export const BATCH_TOKENS = 1;
export const TOTAL_BLOCKS = 2;
export const BLOCK_SIZE = 3;
/** Prompt tokens that all routers sent: `backlogTokens` before any of it is done. */
export const PREFILL_TOKENS = 4;
export const OTHERS_TOKENS = 5;
/** Most tokens of the prompt being computed that can be done; 0: none is computed. */
export const DONE_MOST_TOKENS = 6;
export const SINCE_MS = 7;
export const SHARE = 8;
export const REQUESTS = 9;
export const TOKEN_MS = 10;
export const SQUARED_MS = 11;
/** Share of a prompt pass's fixed cost for one token. */
export const PASS_PART_MS = 12;
/** A prompt token together with its part of the pass and of the steps in it. */
export const WHOLE_TOKEN_MS = 13;
export const DECODE_PASS_MS = 14;
export const DECODE_FULL_MS = 15;

export class CostRows {
  cells = new Float64Array(ROW);

  reserve(rows: number): void {
    if (rows * ROW > this.cells.length) this.cells = new Float64Array(2 * rows * ROW);
  }

  fill(at: number, worker: RoutedWorker, rates: PassRates | undefined): void {
    const { cells } = this;
    const row = ROW * at;
    const { batch_tokens } = worker;
    const share = usedShare(worker);
    cells[row + RATED] = rates === undefined ? 0 : 1;
    cells[row + BATCH_TOKENS] = batch_tokens;
    cells[row + TOTAL_BLOCKS] = worker.total_blocks;
    cells[row + BLOCK_SIZE] = worker.block_size;
    cells[row + PREFILL_TOKENS] = worker.prefill_tokens;
    cells[row + OTHERS_TOKENS] = othersTokens(worker);
    cells[row + DONE_MOST_TOKENS] = 0;
    if (worker.prefilling.size > 0) {
      const first = worker.prefilling.values().next().value ?? 0;
      cells[row + DONE_MOST_TOKENS] = DONE_AT_MOST * first;
    }
    cells[row + SINCE_MS] = worker.prefill_since_ms;
    cells[row + SHARE] = share;
    cells[row + REQUESTS] = requestsThere(worker);
    if (rates === undefined) return;
    const { token_ms, prefill_pass_ms, decode_pass_ms, decode_full_ms } = rates;
    const step_ms = decode_pass_ms + decode_full_ms * share;
    cells[row + TOKEN_MS] = token_ms;
    cells[row + SQUARED_MS] = rates.token_squared_ms;
    cells[row + PASS_PART_MS] = prefill_pass_ms / batch_tokens;
    cells[row + WHOLE_TOKEN_MS] = token_ms + (prefill_pass_ms + step_ms) / batch_tokens;
    cells[row + DECODE_PASS_MS] = decode_pass_ms;
    cells[row + DECODE_FULL_MS] = decode_full_ms;
  }

  /** Mean of one column over the first `count` rows. */
  mean(column: number, count: number): number {
    const { cells } = this;
    let sum = 0;
    for (let at = column; at < ROW * count; at += ROW) sum += cells[at]!;
    return sum / count;
  }

  /** True: no row is above either bound; see `PoolFacts`. */
  noneAbove(share: number, tokens: number, count: number): boolean {
    const { cells } = this;
    for (let row = 0; row < ROW * count; row += ROW) {
      const backlog = cells[row + PREFILL_TOKENS]! + cells[row + OTHERS_TOKENS]!;
      if (cells[row + SHARE]! > share || backlog > tokens) return false;
    }
    return true;
  }

  /** True: one of the workers has fewer than `passes` passes of prompt tokens to compute. */
  anyBelow(passes: number, count: number): boolean {
    const { cells } = this;
    for (let row = 0; row < ROW * count; row += ROW) {
      const backlog = cells[row + PREFILL_TOKENS]! + cells[row + OTHERS_TOKENS]!;
      if (backlog < passes * cells[row + BATCH_TOKENS]!) return true;
    }
    return false;
  }
}
