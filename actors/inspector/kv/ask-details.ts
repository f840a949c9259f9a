/** Asks actors of some roles, in all processes, for a view of themselves. */
import type { Details, InspectMessage } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import type { Said } from "../kv-page.ts";

/** Of a person's question; a view of a large tree may take its process a moment. */
const ANSWER_DEADLINE_MS = 1_000;

/** `processes`: their inspectors; one that does not answer in time is left out. */
export async function askDetails(
  system: ActorSystem,
  processes: readonly Ref<InspectMessage>[],
  roles: readonly string[],
  detail: string,
  about = "",
): Promise<Said[]> {
  const question = { kind: "get_details", roles: [...roles], detail, about } as const;
  const options = { deadline_ms: ANSWER_DEADLINE_MS };
  const answers = await Promise.allSettled(
    processes.map((ref) => system.ask(ref, question, options)),
  );
  return answers.flatMap((answer) => (answer.status === "fulfilled" ? saidIn(answer.value) : []));
}

const saidIn = ({ node, items }: Details): Said[] =>
  items.map(({ json }) => ({ node, snapshot: JSON.parse(json) as Said["snapshot"] }));
