/** Acts on the cluster as a whole, before they are confirmed. */
import type { Plan, PlanChoice } from "../../act/plan.ts";

/** `GET /api/workers`. */
export type WorkersPage = {
  readonly machines: readonly {
    readonly machine: string;
    readonly models: readonly string[];
    readonly workers: readonly { readonly role: string }[];
  }[];
};

/** What there is more of comes first; a choice of one is none. */
export function addWorkers({ machines }: WorkersPage): Plan {
  const roles = ["aggregated", "prefill", "decode"];
  const all = machines.flatMap(({ workers }) => workers.map(({ role }) => role));
  const count = (role: string) => all.filter((each) => each === role).length;
  const options = (values: readonly string[]) =>
    values.map((value): readonly [string, string] => [value, value]);
  const choices: readonly PlanChoice[] = [
    {
      ...{ name: "role", label: "Role" },
      options: options(roles.toSorted((a, b) => count(b) - count(a))),
    },
    {
      ...{ name: "model", label: "Model" },
      options: options([...new Set(machines.flatMap(({ models }) => models))]),
    },
    {
      ...{ name: "machine", label: "Machine" },
      options: options(machines.map(({ machine }) => machine)),
    },
  ];
  return {
    verb: "Add workers",
    icon: "plus",
    target: machines.length > 1 ? "the cluster" : "this machine",
    says: [
      "Processes are started with the settings of the workers that are there. They get requests " +
        "once their model is loaded.",
      "Undo drains and removes them.",
    ],
    danger: false,
    method: "POST",
    path: "/api/workers",
    choices: choices.filter(({ options }) => options.length > 1),
    field: { label: "How many", value: 1, min: 1, max: 64, unit: "workers" },
    body: ({ value, chosen }) => ({ ...chosen, count: value }),
  };
}

export type Weights = Readonly<Record<string, number>>;

export const setWeights = (changed: Weights): Plan => ({
  verb: "Change weights",
  icon: "operate",
  target: "all routers",
  says: [
    `From the next request on: ${Object.entries(changed)
      .map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`)
      .join(", ")}.`,
    "Requests that wait or run stay where they are. Undo sets the weights of now again.",
  ],
  danger: false,
  method: "PUT",
  path: "/api/router",
  body: () => ({ weights: changed }),
});
