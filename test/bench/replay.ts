/**
 * `bun run replay TRACE [flags]`: what a routing policy and a planner are worth, offline, in virtual
 * time, with the mocker's own scheduler and the router's and the planner's own code. TRACE is a file
 * or `synthetic:KEY=VALUE,…`. The defaults are those of Dynamo's mocker, so the figures compare.
 * Exit 2 for what cannot be replayed, 130 when it is stopped by a signal.
 */
import { readReplayFlags, replayUsage } from "./replay/command/replay-command.ts";
import type { ReplayAnswer } from "./replay/command/replay-thread.ts";
import { onSignal, STOPPED_CODE } from "./replay/command/signals.ts";
import { UsageError } from "./replay/flag-values.ts";

const args = Bun.argv.slice(2);
process.exitCode = await replay();

async function replay(): Promise<number> {
  const help = asked(args);
  if (help !== undefined) return help;
  const thread = new Worker(new URL("./replay/command/replay-thread.ts", import.meta.url));
  onSignal((signal) => {
    console.error(`replay: stopped by ${signal}: nothing was written`);
    process.exit(STOPPED_CODE);
  });
  const answer = await new Promise<ReplayAnswer>((resolve, reject) => {
    thread.onmessage = ({ data }: MessageEvent<ReplayAnswer>) => resolve(data);
    thread.onerror = ({ message }) => reject(new Error(message));
    thread.postMessage(args);
  });
  thread.terminate();
  if ("problem" in answer) {
    console.error(`replay: ${answer.problem}`);
    return 2;
  }
  for (const warning of answer.replayed.warnings) console.error(warning);
  console.log(answer.replayed.out);
  return 0;
}

/** What needs no replay. Undefined: nothing of the kind. */
function asked(args: readonly string[]): number | undefined {
  try {
    if (!readReplayFlags(args).flags.help) return undefined;
    console.log(replayUsage);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`replay: ${error.message}`);
    return 2;
  }
}
