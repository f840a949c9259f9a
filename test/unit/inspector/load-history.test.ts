import { expect, test } from "bun:test";
import { LoadHistory } from "../../../actors/inspector/inspector.ts";
import type {
  GetLoadPage,
  GetLoadPoint,
  LoadHistoryMessage,
} from "../../../actors/inspector/load/load-history.ts";
import type { GetLoad, InspectMessage } from "../../../proto/index.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

/** A frontend that makes ten tokens a second. */
class Process extends Actor<GetLoad> {
  asked = 0;
  silent = false;
  readonly #node: string;

  constructor(node: string) {
    super();
    this.#node = node;
  }

  receive(): void {
    this.asked += 1;
    if (this.silent) {
      this.ctx.replyLater();
      return;
    }
    const up_ms = this.ctx.clock.now_ms();
    const output_tokens_total = up_ms / 100;
    const models = [{ model: "m", requests_total: 0, output_tokens_total, queued: 1 }];
    this.ctx.reply({ kind: "load_figures", node: this.#node, models, workers: [], up_ms });
  }
}

function world() {
  const { system, clock } = testSystem();
  const processes = [new Process("a"), new Process("b")] as const;
  const refs = processes.map((each, i) =>
    system.spawn(() => each, { name: `p${i}` }),
  ) as unknown as Ref<InspectMessage>[];
  const history = system.spawn(() => new LoadHistory({ processes: () => refs }), {
    name: "load",
  }) as unknown as Ref<LoadHistoryMessage>;
  const options = { deadline_ms: 100 };
  const page = () => system.ask(history, { kind: "get_load_page" } as GetLoadPage, options);
  const point = () => system.ask(history, { kind: "get_load_point" } as GetLoadPoint, options);
  return { clock, history, processes, page, point };
}

test("a point each ten seconds, for which each process is asked once", async () => {
  const { clock, processes, page } = world();
  await clock.advance(60_500);
  const { interval_ms, points, recent } = await page();
  expect(interval_ms).toBe(10_000);
  expect(points).toHaveLength(6);
  expect(points.map(({ total }) => total.tokens_per_s)).toEqual(new Array(6).fill(20));
  expect(points[0]?.total.waiting).toBe(2);
  expect(recent.points).toEqual([]);
  expect(processes[0].asked).toBe(7);
});

test("while somebody asks there is a point each second, and none any more afterwards", async () => {
  const { clock, processes, page, point } = world();
  await clock.advance(30_000);
  for (let i = 0; i < 8; i += 1) {
    await point();
    await clock.advance(1_000);
  }
  const watched = await page();
  expect(watched.recent.points.length).toBeGreaterThanOrEqual(6);
  expect(watched.recent.points.at(-1)?.total.tokens_per_s).toBe(20);
  expect((await point()).point?.at_ms).toBe(watched.recent.points.at(-1)?.at_ms);
  await clock.advance(20_000);
  const { asked } = processes[0];
  await clock.advance(100_000);
  expect(processes[0].asked - asked).toBe(10);
});

test("who says that nobody asks any more is asked for no further point", async () => {
  const { clock, history, processes, point } = world();
  for (let i = 0; i < 4; i += 1) {
    await point();
    await clock.advance(1_000);
  }
  history.tell({ kind: "end_load_watch" });
  // A look that is due already comes once more.
  await clock.advance(1_500);
  const { asked } = processes[0];
  await clock.advance(4_000);
  expect(processes[0].asked - asked).toBeLessThanOrEqual(1);
});

test("the hour ends after an hour", async () => {
  const { clock, page } = world();
  await clock.advance(2 * 3_600_000);
  const { points } = await page();
  expect(points).toHaveLength(360);
  expect((points.at(-1)?.at_ms ?? 0) - (points[0]?.at_ms ?? 0)).toBe(3_590_000);
});

test("a process that does not answer is left out, and makes no peak when it answers again", async () => {
  const { clock, processes, page } = world();
  await clock.advance(20_500);
  processes[1].silent = true;
  await clock.advance(20_000);
  processes[1].silent = false;
  await clock.advance(20_000);
  const { points } = await page();
  expect(points.map(({ total }) => total.tokens_per_s)).toEqual([20, 20, 10, 10, 20, 20]);
});
