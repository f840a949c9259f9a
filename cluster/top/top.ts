/** `bun run top`: the tree of a running cluster and its rates, in a terminal. */
import { parseArgs } from "node:util";
import { askPlanner, askTotals, askTree, Feed } from "./feed.ts";
import { frameOf, printed, rowsIn } from "./frame.ts";
import { type Sort, sorts } from "./listing.ts";
import { withRates } from "./row.ts";
import { Terminal } from "./terminal.ts";
import { firstView, pressed, type View } from "./view.ts";

const HELP = `bun run top [--url URL] [--once] [--sort ${sorts.join("|")}] [--filter TEXT]

Shows the supervision tree of a running cluster, live. URL: its inspector's address, by default
http://127.0.0.1:8001 (DYN_SYSTEM_PORT names another port). --once prints one table and ends, for
scripts. NO_COLOR in the environment: no colours.
Keys: arrows move and fold, / filter, s sort, r a line a role, g and G first and last, q quit.`;

const DEFAULT_PORT = 8001;
/** Width of a table that goes to no terminal. */
const FILE_COLUMNS = 120;
/** Between two looks, for rates. */
const ONCE_MS = 1_000;
const color = (process.env["NO_COLOR"] ?? "") === "";

function fail(line: string, code: number): never {
  console.error(`top: ${line}`);
  process.exit(code);
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        url: { type: "string" },
        once: { type: "boolean", default: false },
        sort: { type: "string", default: "tree" },
        filter: { type: "string", default: "" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    const sort = sorts.find((name) => name === values.sort);
    if (sort === undefined) fail(`--sort is one of ${sorts.join(", ")}`, 2);
    return { ...values, sort, url: urlOf(values.url) };
  } catch (error) {
    fail(`${(error as Error).message.split("\n")[0]} (--help lists the flags)`, 2);
  }
}

function urlOf(given: string | undefined): string {
  const port = process.env["TROUPE_INSPECTOR_PORT"] ?? process.env["DYN_SYSTEM_PORT"];
  const text = given ?? `http://127.0.0.1:${port ?? DEFAULT_PORT}`;
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol)) fail(`--url ${text} is no address`, 2);
  return url.origin;
}

const START_HINT = "start a cluster with «bun run cluster», or name its inspector with --url";

async function once(url: string, sort: Sort, filter: string): Promise<void> {
  try {
    const before = await askTree(url);
    const began_ms = performance.now();
    await Bun.sleep(ONCE_MS);
    const rows = withRates(before, await askTree(url), performance.now() - began_ms);
    const [totals, planner] = await Promise.all([askTotals(url), askPlanner(url)]);
    const view = { ...firstView(url), link: { kind: "polling" } as const, rows, totals, planner };
    const { isTTY, columns } = process.stdout;
    const style = { color: color && isTTY === true, marks: false };
    const lines = printed({ ...view, sort, filter }, columns || FILE_COLUMNS, style);
    console.log(lines.join("\n"));
  } catch (error) {
    fail(`${(error as Error).message}; ${START_HINT}`, 1);
  }
}

function watch(url: string, sort: Sort, filter: string): void {
  const terminal = new Terminal();
  let view: View = { ...firstView(url), sort, filter };
  const draw = () => terminal.show(frameOf(view, terminal.size, { color, marks: true }));
  const feed = new Feed(url, (news) => {
    view = { ...view, ...news };
    draw();
  });
  const leave = (code: number) => {
    feed.stop();
    terminal.close();
    process.exit(code);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => leave(0));
  }
  process.on("uncaughtException", (error) => {
    terminal.close();
    console.error(error);
    process.exit(1);
  });
  const onKey = (key: string) => {
    const next = pressed(view, key, rowsIn(terminal.size));
    if (next === undefined) {
      leave(0);
      return;
    }
    view = next;
    draw();
  };
  terminal.open(onKey, draw);
  draw();
  void feed.run();
}

const { url, once: isOnce, sort, filter } = options();
if (isOnce) {
  await once(url, sort, filter);
} else if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) {
  fail("there is no terminal here; --once prints one table", 2);
} else {
  // Nothing there at all is told before the screen is taken.
  await askTree(url).catch((error: Error) => fail(`${error.message}; ${START_HINT}`, 1));
  watch(url, sort, filter);
}
