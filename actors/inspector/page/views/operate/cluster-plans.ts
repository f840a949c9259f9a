/** Acts on the cluster as a whole, before they are confirmed. */
import type { Plan } from "../../act/plan.ts";

export const addWorker: Plan = {
  verb: "Add workers",
  icon: "plus",
  target: "this machine",
  says: [
    "Processes are started with the settings of the workers that are there. They get requests once " +
      "their model is loaded.",
    "Undo drains and removes them.",
  ],
  danger: false,
  method: "POST",
  path: "/api/workers",
  field: { label: "How many", value: 1, min: 1, max: 64, unit: "workers" },
  body: (n) => ({ count: n }),
};

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
