/** What can be done to a row of the tree, by its kind; pure. */
import { actorPath } from "../data/paths.ts";
import type { TreeRow } from "../data/types.ts";
import { nameOf } from "../ui/format.ts";
import type { Plan } from "./plan.ts";

const workerRoles = ["aggregated", "prefill", "decode"] as const;
/** Roles of actors and processes that hold a worker. */
const workers: readonly string[] = ["worker", "prefill", "decode"];
const drainable: readonly string[] = [...workers, "frontend"];

/** `/cluster/workers/worker-0/process` → `worker-0`. */
export function workerOf({ path }: Pick<TreeRow, "path">): string | undefined {
  return /^\/cluster\/workers\/([^/]+)(\/process)?$/.exec(path)?.[1];
}

/** As a person calls it: a process by its slot, an actor by its name. */
export function targetName(row: TreeRow): string {
  const slot = /\/([^/]+)\/process$/.exec(row.path)?.[1];
  if (row.kind === "process") return `process ${slot ?? nameOf(row.path)}`;
  return row.node === undefined ? row.path : `${row.path} in ${row.node}`;
}

export function actionsFor(row: TreeRow): readonly Plan[] {
  const plain = { target: targetName(row), danger: false, method: "POST" } as const;
  const to = (action: string) => ({ ...plain, path: actorPath(row.id, `/${action}`) });
  const isProcess = row.kind === "process";
  return [
    ...(drainable.includes(row.role) ? [drain(to("drain"), isProcess)] : []),
    ...(isProcess ? processStops(to) : actorStops(row, to)),
    ...(workers.includes(row.role) ? roles(row, to) : []),
    ...(isProcess ? faults(row, to) : []),
    ...removal(row),
  ];
}

type Target = Pick<Plan, "target" | "danger" | "method" | "path">;
type To = (action: string) => Target;

const drain = (target: Target, isProcess: boolean): Plan => ({
  ...target,
  verb: "Drain",
  icon: "drain",
  says: [
    "It takes nothing new. What takes less than a second is finished, the rest goes on at other " +
      "workers between two tokens. Then it begins anew.",
    isProcess
      ? "The process stays; the actors in it that hold answers are drained."
      : "With a single worker its answers stay with it until the budget is spent.",
  ],
});

const processStops = (to: To): readonly Plan[] => [
  {
    ...to("restart"),
    verb: "Restart",
    icon: "restart",
    says: [
      "The process is told to stop, finishes or hands over what it has, and ends. Its slot starts " +
        "the next one, with another pid.",
      "One worker after the other loses no answer.",
    ],
  },
];

function actorStops(row: TreeRow, to: To): readonly Plan[] {
  const isSuspended = row.state === "suspended";
  const isActor = row.kind === "actor";
  const danger = { danger: true };
  return [
    {
      ...to("restart"),
      verb: "Restart",
      icon: "restart",
      says: [
        "It stops after the message that it is in, and its supervisor starts it with empty state " +
          "at the same path.",
        ...(isActor ? [] : ["All of its children are started again as well."]),
      ],
    },
    ...(isActor
      ? [
          {
            ...to(isSuspended ? "resume" : "suspend"),
            verb: isSuspended ? "Resume" : "Suspend",
            icon: isSuspended ? ("play" as const) : ("pause" as const),
            says: isSuspended
              ? ["It takes the messages that have waited, in their order."]
              : [
                  "It takes no messages until it is resumed. They wait in its mailbox, which is " +
                    "bounded: who sends more than it holds is refused.",
                ],
          },
        ]
      : []),
    {
      ...{ ...to("stop"), ...danger },
      verb: "Stop",
      icon: "stop",
      says: [
        "It ends after the message that it is in, and its children with it. Its supervisor starts " +
          "it again only where its restart rule says so.",
      ],
    },
    {
      ...{ ...to("kill"), ...danger },
      verb: "Kill",
      icon: "kill",
      says: [
        "It ends at once, whatever it does, and gives nothing back by itself. To its supervisor " +
          "this is a crash: the restart rule decides what follows.",
      ],
    },
  ];
}

const roles = (row: TreeRow, to: To): readonly Plan[] =>
  workerRoles
    .filter((role) => role !== row.role && !(role === "aggregated" && row.role === "worker"))
    .map((role) => ({
      ...to(role),
      verb: `Become ${role}`,
      icon: "swap",
      short: role,
      says: [
        `The worker is drained and comes back as ${roleText[role]}.`,
        "When its process starts again, it has the role of its settings. Its old role can be " +
          "given back from the log of actions.",
      ],
    }));

const roleText = {
  aggregated: "a worker that computes prompts and makes answers",
  prefill: "a worker that computes prompts for others",
  decode: "a worker that makes answers from prompts that others have computed",
} as const;

/** What a loss of the process means, by what it holds. */
function afterKill({ role }: TreeRow): string {
  if (workers.includes(role)) return "Answers that it makes go on at other workers.";
  if (role === "frontend") {
    return (
      "Its connections break; clients that send the last event id go on at another frontend, or at " +
      "the next process."
    );
  }
  return "What it holds in memory is lost.";
}

const faults = (row: TreeRow, to: To): readonly Plan[] => [
  {
    ...to("fault"),
    verb: "Freeze",
    icon: "freeze",
    danger: true,
    says: [
      "The system stops the process (SIGSTOP): it neither answers nor ends. Others find out by its " +
        "silence and go on elsewhere. It wakes up by itself after this time.",
    ],
    field: { label: "For", value: 10, min: 1, max: 60, unit: "seconds" },
    body: ({ value: seconds }) => ({ fault: "freeze", seconds }),
  },
  {
    ...to("fault"),
    verb: "kill -9",
    icon: "kill",
    danger: true,
    says: [
      "The process ends at once (SIGKILL), in the middle of whatever it does. Its slot starts the " +
        "next one.",
      afterKill(row),
      "This cannot be undone.",
    ],
    body: () => ({ fault: "kill9" }),
  },
];

function removal(row: TreeRow): readonly Plan[] {
  const name = row.kind === "process" ? workerOf(row) : undefined;
  if (name === undefined) return [];
  return [
    {
      verb: "Remove worker",
      icon: "minus",
      target: name,
      danger: true,
      says: [
        "The worker is drained, its process ends, and its slot goes: the cluster has one worker less.",
        "Undo adds one of the same role and model.",
      ],
      method: "DELETE",
      path: `/api/workers/${encodeURIComponent(name)}`,
    },
  ];
}
