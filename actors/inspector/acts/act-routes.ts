/** The routes over which a person changes a running cluster, and looks at what was changed. */
import { controlActions } from "../../../runtime/kernel/system.ts";
import { failed, json } from "../door/answers.ts";
import { ANSWER_DEADLINE_MS, type Call, type Door } from "../door/door.ts";
import type { Handler, Route } from "../door/route.ts";
import { workerRoles } from "../process-inspector.ts";
import type { ActsOptions } from "./acts-options.ts";
import { perform } from "./perform.ts";
import { readBody } from "./read-body.ts";
import { type Read, readAdd, readFault, readRetire, readWeights } from "./read-command.ts";

/** At an actor of the tree. */
export const actorActions = [...controlActions, "drain", ...workerRoles] as const;

export const actRoutes: readonly Route[] = [
  ...actorActions.map((action) => ({
    path: `/api/actors/{id...}/${action}`,
    on: { POST: acting(({ params }) => control(params["id"] ?? "", action)) },
  })),
  {
    path: "/api/actors/{id...}/fault",
    on: { POST: acting(({ params }, body) => readFault(params["id"] ?? "", body)) },
  },
  {
    path: "/api/workers",
    on: {
      GET: (_call, door) => withActs(door, (acts) => listPools(door, acts)),
      POST: acting((_call, body) => readAdd(body)),
      DELETE: acting((_call, body) => readRetire(body)),
    },
  },
  {
    path: "/api/workers/{name}",
    on: { DELETE: acting(({ params }) => readRetire({ workers: [params["name"] ?? ""] })) },
  },
  {
    path: "/api/router",
    on: {
      GET: (_call, door) => withActs(door, async ({ router }) => json(await router.page())),
      PUT: acting((_call, body) => readWeights(body)),
    },
  },
  {
    path: "/api/acts",
    on: { GET: (_call, door) => withActs(door, async ({ log }) => json({ acts: log.all() })) },
  },
  { path: "/api/acts/{id}/undo", on: { POST: undo } },
  {
    path: "/api/config",
    on: { GET: (_call, door) => withActs(door, async ({ config }) => yaml(await config())) },
  },
];

const control = (place: string, action: string): Read => ({
  command: { kind: "control", place, action },
});

const yaml = (text: string) =>
  new Response(text, { headers: { "content-type": "text/yaml; charset=utf-8" } });

async function withActs(
  { options }: Door,
  answer: (acts: ActsOptions) => Promise<Response>,
): Promise<Response> {
  if (options.acts === undefined) return failed("this inspector changes nothing", 404);
  return answer(options.acts);
}

/** A route that does what its request says. */
function acting(read: (call: Call, body: Readonly<Record<string, unknown>>) => Read): Handler {
  return (call, door) =>
    withActs(door, async (acts) => {
      const body = await readBody(call.request, door.system.capabilities.clock);
      if ("wrong" in body) return failed(body.wrong, 400);
      const asked = read(call, body.fields);
      if ("wrong" in asked) return failed(asked.wrong, 400);
      const done = await perform(asked.command, call.exchange.client, door, acts);
      return json({ ...done.body, act: done.act }, done.status);
    });
}

async function undo({ params, exchange }: Call, door: Door): Promise<Response> {
  return withActs(door, async (acts) => {
    const id = params["id"] ?? "";
    const found = acts.log.undoing(id);
    if ("refused" in found) return failed(found.refused, 409);
    // Marked before it is begun, so that nobody takes it back twice.
    acts.log.undone(id, "…");
    const done = await perform(found.command, exchange.client, door, acts);
    acts.log.undone(id, done.error === undefined ? done.act : undefined);
    return json({ ...done.body, act: done.act }, done.status);
  });
}

async function listPools(door: Door, { pools }: ActsOptions): Promise<Response> {
  const answers = await Promise.allSettled(
    pools().map((pool) =>
      door.system.ask(pool, { kind: "get_pool" }, { deadline_ms: ANSWER_DEADLINE_MS }),
    ),
  );
  const machines = answers.flatMap((answer) => {
    if (answer.status !== "fulfilled") return [];
    const { kind: _kind, ...pool } = answer.value;
    return [pool];
  });
  return json({ machines });
}
