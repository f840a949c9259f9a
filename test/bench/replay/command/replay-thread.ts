/** The thread of `bun run replay`, so that a signal can end it in the middle of a replay. */
import { UsageError } from "../flag-values.ts";
import { type Replayed, replayed } from "./replay-command.ts";

declare const self: Worker;

export type ReplayAnswer = { readonly replayed: Replayed } | { readonly problem: string };

self.onmessage = async ({ data: args }: MessageEvent<readonly string[]>) => {
  self.postMessage(await answerTo(args));
};

async function answerTo(args: readonly string[]): Promise<ReplayAnswer> {
  try {
    return { replayed: await replayed(args) };
  } catch (error) {
    const expected = error instanceof UsageError || (error instanceof Error && "code" in error);
    if (!expected) throw error;
    return { problem: error.message };
  }
}
