/** Clients that misbehave: the others must not notice, and what they hold must be let go. */
import { descendants, residentMb, until } from "../../../support/cluster.ts";
import { addNamespace, lacksNamespaces } from "../netns.ts";
import type { Row } from "../row.ts";
import { midway, sumOfMetric, underFault } from "../scenario.ts";

/** One client in so many is slow. */
const slow_each = 6;

export const clientRows: readonly Row[] = [
  {
    name: "slow-client",
    what: "every 6th client reads for 20 ms in each 500",
    engines: ["mocker"],
    quick: true,
    run: (world) => {
      const reads = new Map<number, ReturnType<typeof setInterval>>();
      return underFault(world, {
        args: ["--workers", "2"],
        speedup: 4,
        flock: {
          ...{ requests: 24, concurrency: 24, tokens: world.quick ? 600 : 1_500 },
          logprobs: true,
          onEvent: (index, ledger, exchange) => {
            if (index % slow_each !== 0) return;
            if (ledger.done) clearInterval(reads.get(index));
            if (ledger.done || reads.has(index)) return;
            const rest = () => {
              exchange.resume();
              setTimeout(() => exchange.pause(), 20);
            };
            exchange.pause();
            reads.set(index, setInterval(rest, 500));
          },
        },
        fault: async ({ cluster, flock }) => {
          const before_mb = Math.max(...descendants(cluster.pid).map(residentMb));
          await flock.ended;
          for (const timer of reads.values()) clearInterval(timer);
          const after_mb = Math.max(...descendants(cluster.pid).map(residentMb));
          return { largest_process_grew_mb: after_mb - before_mb };
        },
      });
    },
  },
  {
    name: "half-open-client",
    what: "8 clients' network is cut without a word; their answers end at the request's time limit",
    engines: ["mocker"],
    lacks: lacksNamespaces,
    run: async (world) => {
      await using away = await addNamespace("troupe-prove-c", 71);
      return await underFault(world, {
        args: ["--workers", "2", "--host", away.host_address, "--request-timeout", "8"],
        flock: { requests: 24, concurrency: 24, tokens: 256 },
        fault: async (running) => {
          const { cluster } = running;
          const url = cluster.url;
          // Long ones, so that they would go on for more than the time limit.
          const client = away.spawn([
            "bun",
            `${import.meta.dir}/../far-client.ts`,
            url,
            "8",
            "4000",
          ]);
          await until("far clients to have begun", 10_000, () => client.said().includes("begun"));
          await midway(running, 40, 0.5);
          away.cut();
          const live = () => sumOfMetric(cluster, /^dynamo_component_inflight_requests\b/);
          const cut_ms = performance.now();
          await running.flock.ended;
          await until("the far answers to be over", 20_000, async () => (await live()) === 0);
          client.kill();
          return { far_answers_over_after_ms: performance.now() - cut_ms };
        },
      });
    },
  },
  {
    name: "clients-leave",
    what: "half of the clients hang up in the middle: nothing goes on for them",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: {
          ...{ requests: 48, concurrency: 48, tokens: 512 },
          ...{ resumes: false, retries: false },
          onEvent: (index, ledger, exchange) => {
            const far = (ledger.choices[0]?.delivered ?? 0) >= 30;
            if (index % 2 === 0 && far) exchange.hangUp("it hung up, as told");
          },
        },
        errors_allowed: true,
        fault: async () => ({}),
      }),
  },
];
