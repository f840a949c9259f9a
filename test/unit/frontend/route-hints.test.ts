import { expect, test } from "bun:test";
import { ApiError } from "../../../actors/frontend/api/api-error.ts";
import { checkShape } from "../../../actors/frontend/api/check-body.ts";
import { embeddingShape } from "../../../actors/frontend/api/embeddings/embedding-fields.ts";
import { pinOf, routeHintsOf } from "../../../actors/frontend/prompt/route-hints.ts";
import { routeHints } from "../../support/worlds/route-hints.ts";

const nvextOf = (nvext: unknown) =>
  checkShape({ model: "m", input: "i", nvext }, embeddingShape).nvext;

function complaint(run: () => unknown): { status: number; message: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof ApiError) return { status: error.status, message: error.message };
    throw error;
  }
  return { status: 200, message: "" };
}

test("who says nothing of routing has no hints", () => {
  expect(routeHintsOf(new Headers())).toBeUndefined();
  expect(routeHintsOf(new Headers(), null)).toBeUndefined();
  expect(routeHintsOf(new Headers(), nvextOf({ annotations: ["x"] }))).toBeUndefined();
  expect(pinOf(new Headers(), undefined)).toBe("");
});

test("the worker of the prompt is named by nvext, or by Dynamo's header, which wins", () => {
  const nvext = nvextOf({ prefill_worker_id: "prefill-1" });
  expect(routeHintsOf(new Headers(), nvext)).toEqual(routeHints({ prefill_worker: "prefill-1" }));
  const headers = new Headers({ "x-dynamo-prefill-instance-id": "prefill-2" });
  expect(routeHintsOf(headers, nvext)).toEqual(routeHints({ prefill_worker: "prefill-2" }));
});

test("nvext says what the headers say", () => {
  const nvext = nvextOf({
    backend_instance_id: "worker-1",
    allowed_worker_ids: ["worker-1", "worker-2"],
    routing_constraints: {
      required_taints: ["gpu=h100"],
      tolerated_taints: ["batch", "night"],
      preferred_taints: { "dynamo.topology/zone=eu": 1.5, slow: -2 },
    },
  });
  const constraints = {
    allowed_workers: ["worker-1", "worker-2"],
    required_taints: ["gpu=h100"],
    tolerated_taints: ["batch", "night"],
  };
  expect(routeHintsOf(new Headers(), nvext)).toEqual(
    routeHints({
      ...constraints,
      preferred_taints: [
        { taint: "dynamo.topology/zone=eu", weight: 1.5 },
        { taint: "slow", weight: -2 },
      ],
    }),
  );
  expect(pinOf(new Headers(), nvext)).toBe("worker-1");
  const headers = new Headers({
    "x-troupe-allowed-workers": "worker-1,worker-2",
    "x-troupe-required-taints": "gpu=h100",
    "x-troupe-tolerated-taints": " batch , night,",
    "x-worker-instance-id": "worker-9",
  });
  expect(routeHintsOf(headers)).toEqual(routeHints(constraints));
  expect(pinOf(headers, nvext)).toBe("worker-9");
});

test("a header wins, also one that tolerates nothing", () => {
  const nvext = nvextOf({ routing_constraints: { tolerated_taints: ["batch"] } });
  const hints = routeHintsOf(new Headers({ "x-troupe-tolerated-taints": "" }), nvext);
  expect(hints?.tolerated_taints).toEqual([]);
});

test("bad headers are a 400 that says the rule", () => {
  const many = Array.from({ length: 65 }, (_, i) => `t${i}`).join(",");
  for (const [name, value, rule] of [
    ["x-troupe-tolerated-taints", "two words", "at most 64 taints"],
    ["x-troupe-required-taints", many, "at most 64 taints"],
    ["x-troupe-required-taints", "x".repeat(129), "at most 128 of them"],
    ["x-troupe-allowed-workers", ",", "names 1 to 1024 workers"],
    ["x-troupe-allowed-workers", "w".repeat(257), "names 1 to 1024 workers"],
    ...["", "0x10", "1e3", "1.0", "-1", "86401", "1 2", "one", "Infinity"].map(
      (value) => ["x-dynamo-request-priority", value, "a whole number from 0 to 86400"] as const,
    ),
    ["x-dynamo-request-strict-priority", "", "a whole number from -1000000 to 1000000"],
    ["x-dynamo-request-strict-priority", "0b1", "a whole number from -1000000 to 1000000"],
  ] as const) {
    const { status, message } = complaint(() => routeHintsOf(new Headers({ [name]: value })));
    expect([status, message.includes(name), message.includes(rule)]).toEqual([400, true, true]);
  }
});

test("bad fields are a 400 that names them", () => {
  const weights = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`t${i}`, 1]));
  for (const [nvext, named] of [
    ["x", "'nvext'"],
    [{ backend_instance_id: 7 }, "'nvext.backend_instance_id'"],
    [{ allowed_worker_ids: [] }, "'nvext.allowed_worker_ids'"],
    [{ allowed_worker_ids: [""] }, "'nvext.allowed_worker_ids[0]'"],
    [{ routing_constraints: { tolerated_taints: "batch" } }, "tolerated_taints'"],
    [{ routing_constraints: { required_taints: ["two words"] } }, "required_taints[0]'"],
    [{ routing_constraints: { preferred_taints: { a: 101 } } }, "preferred_taints.a'"],
    [{ routing_constraints: { preferred_taints: weights } }, "preferred_taints'"],
    [{ routing_constraints: { toleratd: [] } }, "toleratd"],
  ] as const) {
    const { status, message } = complaint(() => nvextOf(nvext));
    expect([status, message.includes(named) || message]).toEqual([400, true]);
  }
});
