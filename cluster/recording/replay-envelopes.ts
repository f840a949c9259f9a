/**
 * `bun run replay-envelopes DIR`: what a recording of `--record DIR` holds; with --actor it drives
 * one actor from it and says whether it becomes what it was.
 */
import { parseArgs } from "node:util";
import { errorText } from "../../runtime/error-text.ts";
import { drive, NotDriven } from "../../runtime/observe/record/driven/drive.ts";
import {
  livesOf,
  openFolder,
  type RecordedFolder,
  RecordingError,
} from "../../runtime/observe/record/read-folder.ts";
import { realFiles } from "../../runtime/real/files.ts";
import { SettingsError } from "../settings/settings-error.ts";
import { recipes } from "./recipes.ts";
import { summarise } from "./summary.ts";
import { drivenLines, summaryLines, turnLines } from "./tell.ts";

const HELP = `bun run replay-envelopes DIR [--all]
bun run replay-envelopes DIR --actor NODE/PATH [--life N] [--until TURN] [--verbose]

Without --actor: the processes that recorded into DIR, their messages by kind, and the actors whose
turns are there, as NODE/PATH. --all: also beyond the first 40 of a process.
--actor: makes that actor again and gives it all of its turns, with the clock and the chance that
it had then. Exit code 0: it did and became the same; 1: it did not, and the first turn after which
something differs is named.
--life: which one of several, from 0; the last one without it. --until: the last turn to drive.
--verbose: every turn with its message, and what the actor does.`;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = [SettingsError, RecordingError, NotDriven].some((kind) => error instanceof kind);
  console.error(
    `replay-envelopes: ${known ? errorText(error) : ((error as Error).stack ?? error)}`,
  );
  process.exitCode = 2;
}

async function main(argv: string[]): Promise<number> {
  const { flags, path } = readFlags(argv);
  if (flags.help === true) {
    console.log(HELP);
    return 0;
  }
  const folder = await openFolder(path, realFiles());
  for (const problem of folder.problems) console.error(`replay-envelopes: ${problem}`);
  if (flags.actor !== undefined) return await driveOne(folder, flags.actor, flags);
  for (const line of summaryLines(await summarise(folder, recipes), flags.all === true)) {
    console.log(line);
  }
  return 0;
}

type Flags = ReturnType<typeof readFlags>["flags"];

async function driveOne(folder: RecordedFolder, name: string, flags: Flags): Promise<number> {
  const slash = name.indexOf("/");
  if (slash < 1) throw new SettingsError(`--actor is NODE/PATH, not ${name}`);
  const lives = await livesOf(folder, name.slice(0, slash), name.slice(slash));
  const life = lives.at(whole("--life", flags.life) ?? -1);
  if (life === undefined) {
    const those = lives.length === 0 ? "" : `, but ${lives.length} lives of it: from 0 on`;
    throw new SettingsError(`the recording has no such life of ${name}${those}; list it first`);
  }
  const until = whole("--until", flags.until);
  const since_ms = life.turns[0]?.at_ms ?? 0;
  const driven = drive(life, recipes, until, (turn) => {
    if (flags.verbose === true) for (const line of turnLines(turn, since_ms)) console.log(line);
  });
  for (const line of drivenLines(life, driven)) console.log(line);
  return driven.differs === undefined ? 0 : 1;
}

function readFlags(args: string[]) {
  try {
    const { values: flags, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        actor: { type: "string" },
        life: { type: "string" },
        until: { type: "string" },
        verbose: { type: "boolean" },
        all: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
    const [path, ...others] = positionals;
    if (flags.help === true) return { flags, path: "" };
    if (path === undefined) throw new SettingsError("which folder? bun run replay-envelopes DIR");
    if (others.length > 0) throw new SettingsError(`one folder at a time, not also ${others[0]}`);
    return { flags, path };
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    throw new SettingsError(`${errorText(error)}; --help has the flags`);
  }
}

function whole(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new SettingsError(`${flag} is a whole number, not ${text}`);
  return Number(text);
}
