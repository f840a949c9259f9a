/**
 * `/metrics` of the whole cluster: the figures of every process as one Prometheus text, so that
 * each frontend behind a shared port gives a scraper the same page. Each series names its process;
 * readers add up processes themselves.
 */
import type { InspectMessage, ProcessInfo } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import { mergeMetrics } from "./merge-metrics.ts";

/** A process that does not answer within this is left out rather than waited for. */
const ANSWER_DEADLINE_MS = 1_000;

/** Asks the inspectors of all processes; this process answers for itself even when none does. */
export async function clusterMetrics(
  system: ActorSystem,
  inspectors: readonly Ref<InspectMessage>[],
): Promise<string> {
  const answers = await Promise.allSettled(
    inspectors.map((ref) =>
      system.ask(ref, { kind: "get_process" }, { deadline_ms: ANSWER_DEADLINE_MS }),
    ),
  );
  const infos: ProcessInfo[] = answers.flatMap((answer) =>
    answer.status === "fulfilled" ? [answer.value as ProcessInfo] : [],
  );
  if (infos.length === 0) return system.metrics.render();
  return metricsOfProcesses(infos.sort((a, b) => (a.node < b.node ? -1 : 1)));
}

type Figures = Omit<ProcessInfo, "kind" | "pid">;

/** Merges the texts of processes, and adds figures about the processes themselves. Pure. */
export function metricsOfProcesses(processes: readonly Figures[]): string {
  return mergeMetrics(
    processes.map((each) => ({ node: each.node, text: ownText(each) + each.metrics })),
  );
}

function ownText({ role, resident_bytes, event_loop_block_ms_max }: Figures): string {
  const gauge = (name: string, help: string, value: number) =>
    `# HELP troupe_process_${name} ${help}\n# TYPE troupe_process_${name} gauge\n` +
    `troupe_process_${name}{role="${role}"} ${value}\n`;
  const block = "Longest hold-up of the event loop since the process began.";
  return (
    gauge("resident_bytes", "Resident memory.", resident_bytes) +
    gauge("event_loop_block_seconds_max", block, event_loop_block_ms_max / 1_000)
  );
}
