/** The front-door table: this cluster with four mockers and Dynamo with four of its own. */
import { residentMb } from "../../support/cluster.ts";
import { frontendMb, startDoor } from "../frontend.ts";
import { type DoorFigures, doorCases, measureDoor, nameOf } from "../load/front-door.ts";
import { median, rounded } from "../statistics.ts";
import { startDynamo } from "./dynamo.ts";
import { installDynamo, installTokenizer } from "./install.ts";
import type { ComparedRow } from "./ratio-table.ts";

const case_ms = 5000;

type Side = { readonly figures: Map<string, DoorFigures[]>; readonly megabytes: number[] };

export async function compareFrontend(options: {
  readonly cache: string;
  readonly rounds: number;
  readonly say: (text: string) => void;
}): Promise<ComparedRow[]> {
  const { cache, rounds, say } = options;
  const python = await installDynamo(cache, say);
  const tokenizer = await installTokenizer(cache, say);
  const ours: Side = { figures: new Map(), megabytes: [] };
  const theirs: Side = { figures: new Map(), megabytes: [] };
  // In turn, and each alone on the machine: the two would share its cores.
  for (let round = 1; round <= rounds; round += 1) {
    say(`round ${round} of ${rounds}: troupe`);
    {
      await using door = await startDoor();
      await measureAll(door, ours, door.context_tokens, say);
      ours.megabytes.push(await frontendMb(door.cluster));
    }
    say(`round ${round} of ${rounds}: dynamo`);
    await using dynamo = await startDynamo({ python, tokenizer, router_mode: "kv" });
    await measureAll(dynamo, theirs, Number.POSITIVE_INFINITY, say);
    theirs.megabytes.push(residentMb(dynamo.frontend_pid));
  }
  return [
    ...doorCases.map(nameOf).flatMap((name) => compared(name, ours, theirs)),
    {
      case: "frontend resident MB",
      ours: rounded(median(ours.megabytes), 0),
      dynamo: rounded(median(theirs.megabytes), 0),
      ratio: rounded(median(ours.megabytes) / median(theirs.megabytes)),
    },
  ];
}

async function measureAll(
  target: { readonly url: string; readonly model: string },
  side: Side,
  context_tokens: number,
  say: (text: string) => void,
): Promise<void> {
  const { url, model } = target;
  for (const one of doorCases) {
    const name = nameOf(one);
    if (2 * one.isl + one.osl > context_tokens) continue;
    const figures = await measureDoor({ url, model }, one, case_ms);
    side.figures.set(name, [...(side.figures.get(name) ?? []), figures]);
    say(`  ${name}: ${figures.req_per_s.toFixed(1)} req/s, ${figures.ttft_p50_ms.toFixed(1)} ms`);
  }
}

function compared(name: string, ours: Side, theirs: Side): ComparedRow[] {
  const of = (side: Side, key: keyof DoorFigures) =>
    median((side.figures.get(name) ?? []).map((figures) => figures[key]));
  const ratio = (key: keyof DoorFigures) => rounded(of(ours, key) / of(theirs, key));
  if (!ours.figures.has(name)) return [];
  return [
    {
      case: name,
      ours: rounded(of(ours, "req_per_s"), 1),
      dynamo: rounded(of(theirs, "req_per_s"), 1),
      ratio: ratio("req_per_s"),
      "tok/s": rounded(of(ours, "tokens_per_s"), 0),
      "dynamo tok/s": rounded(of(theirs, "tokens_per_s"), 0),
      "tok ratio": ratio("tokens_per_s"),
      "ttft p50": rounded(of(ours, "ttft_p50_ms")),
      "dynamo p50": rounded(of(theirs, "ttft_p50_ms")),
      "ttft p99": rounded(of(ours, "ttft_p99_ms")),
      "dynamo p99": rounded(of(theirs, "ttft_p99_ms")),
      "e2e p50": rounded(of(ours, "e2e_p50_ms")),
      "dynamo e2e": rounded(of(theirs, "e2e_p50_ms")),
      "events/token": rounded(of(ours, "events_per_token"), 3),
    },
  ];
}
