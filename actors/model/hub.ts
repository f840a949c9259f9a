import { z } from "zod";
import { bodyText } from "./body-text.ts";
import { withLock } from "./cache-lock.ts";
import { download, folderOf } from "./download.ts";
import { ModelError } from "./model-error.ts";
import type { ModelSource } from "./model-source.ts";
import { type ModelWorld, onDisk, within } from "./model-world.ts";
import { chooseQuant, type HubFile } from "./quant-choice.ts";

const DEFAULT_ENDPOINT = "https://huggingface.co";
const LIST_MS = 30_000;
const MAX_PAGES = 20;

type HubSource = Extract<ModelSource, { kind: "hub" }>;

const treeSchema = z.array(
  z.object({
    type: z.string(),
    path: z.string(),
    size: z.number().default(0),
    lfs: z.object({ oid: z.string(), size: z.number() }).optional(),
  }),
);

/** The files that an earlier run chose, so that a cached model needs no network. */
const choiceSchema = z.array(z.object({ path: z.string(), size_bytes: z.number() }));

/** Path of the model file (of its first part) in the cache, fetched if need be. */
export async function fetchFromHub(world: ModelWorld, source: HubSource): Promise<string> {
  const folder = `${world.cache_dir}/hub/${source.repo.replace("/", "--")}`;
  const choice = `${folder}/choice-${(source.quant ?? "default").toLowerCase()}.json`;
  const cached = await readChoice(world, folder, choice);
  if (cached !== undefined) return cached;
  await onDisk(folder, () => world.files.makeFolder(folder));
  return await withLock(world, `${folder}/.lock`, async () => {
    const meanwhile = await readChoice(world, folder, choice);
    if (meanwhile !== undefined) return meanwhile;
    const files = pick(source, await listFiles(world, source));
    for (const [index, file] of files.entries()) {
      await fetchFile(world, source, folder, file, `${index + 1}/${files.length}`);
    }
    const written = files.map(({ path, size_bytes }) => ({ path, size_bytes }));
    const bytes = new TextEncoder().encode(JSON.stringify(written));
    await onDisk(folder, () => world.files.write(choice, bytes));
    return `${folder}/${files[0]!.path}`;
  });
}

function fetchFile(
  world: ModelWorld,
  source: HubSource,
  folder: string,
  file: HubFile,
  number: string,
): Promise<void> {
  const name = file.path.slice(file.path.lastIndexOf("/") + 1);
  const quoted = file.path.split("/").map(encodeURIComponent).join("/");
  return download(world, {
    url: `${endpointOf(world)}/${source.repo}/resolve/main/${quoted}`,
    headers: authOf(world),
    path: `${folder}/${file.path}`,
    label: number === "1/1" ? name : `${name} (${number})`,
    sha256: file.sha256,
    size_bytes: file.size_bytes,
    explain: (status) => explain(world, source, status),
  });
}

function pick(source: HubSource, files: readonly HubFile[]): readonly HubFile[] {
  const choice = chooseQuant(files, source.quant);
  switch (choice.kind) {
    case "files":
      return choice.files;
    case "incomplete": {
      const advice = "choose another quantization";
      const message = `hf:${source.repo} lacks parts of ${choice.name}: ${advice}`;
      throw new ModelError("model_not_found", message);
    }
    case "none": {
      if (choice.available.length === 0) {
        const advice = "look for a repository with GGUF in its name";
        const message = `hf:${source.repo} has no .gguf file: ${advice}`;
        throw new ModelError("model_not_found", message);
      }
      const names = choice.available.slice(0, 12).join(", ");
      const message = `hf:${source.repo} has no ${source.quant}: choose one of ${names}`;
      throw new ModelError("model_not_found", message);
    }
  }
}

async function listFiles(world: ModelWorld, source: HubSource): Promise<HubFile[]> {
  const files: HubFile[] = [];
  let url = `${endpointOf(world)}/api/models/${source.repo}/tree/main?recursive=true`;
  for (let page = 0; page < MAX_PAGES; page++) {
    const response = await get(world, source, url);
    if (!response.ok) {
      await response.body?.cancel();
      throw explain(world, source, response.status);
    }
    const list = bodyText(response).then((text): unknown => JSON.parse(text));
    const read = within(world, LIST_MS, list, () => offline(world));
    const parsed = treeSchema.safeParse(await read.catch(() => undefined));
    if (!parsed.success) {
      const message = `${endpointOf(world)} does not answer like a model hub: check HF_ENDPOINT`;
      throw new ModelError("model_server_error", message);
    }
    for (const entry of parsed.data) {
      if (entry.type !== "file" || !isSafe(entry.path)) continue;
      const size_bytes = entry.lfs?.size ?? entry.size;
      files.push({ path: entry.path, size_bytes, sha256: entry.lfs?.oid });
    }
    const next = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
    if (next === undefined) break;
    const target = new URL(next, url);
    // The token goes along, so only to the same place.
    if (target.origin !== new URL(url).origin) break;
    url = target.href;
  }
  return files;
}

async function get(world: ModelWorld, source: HubSource, url: string): Promise<Response> {
  try {
    const request = world.net.fetch(url, { headers: authOf(world) });
    return await within(world, LIST_MS, request, () => offline(world));
  } catch (thrown) {
    if (thrown instanceof ModelError) throw thrown;
    throw offline(world, `hf:${source.repo}`);
  }
}

/** True: the name does not lead out of its folder. */
function isSafe(path: string): boolean {
  return !path.split("/").some((part) => part === "" || part === "." || part === "..");
}

async function readChoice(
  world: ModelWorld,
  folder: string,
  choice: string,
): Promise<string | undefined> {
  if ((await onDisk(folder, () => world.files.size_bytes(choice))) === undefined) return undefined;
  const text = new TextDecoder().decode(await onDisk(folder, () => world.files.read(choice)));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = choiceSchema.safeParse(value);
  if (!parsed.success || parsed.data.length === 0) return undefined;
  for (const file of parsed.data) {
    const path = `${folder}/${file.path}`;
    const size = await onDisk(folderOf(path), () => world.files.size_bytes(path));
    if (!isSafe(file.path) || size !== file.size_bytes) return undefined;
  }
  return `${folder}/${parsed.data[0]!.path}`;
}

function endpointOf(world: ModelWorld): string {
  const given = world.env["HF_ENDPOINT"];
  if (given === undefined || given === "") return DEFAULT_ENDPOINT;
  if (/^https?:$/.test(URL.parse(given)?.protocol ?? "")) return given.replace(/\/+$/, "");
  const message = `HF_ENDPOINT is no http address (${given}): correct or unset it`;
  throw new ModelError("model_bad_source", message);
}

function authOf(world: ModelWorld): Record<string, string> {
  const token = world.env["HF_TOKEN"];
  return token === undefined || token === "" ? {} : { authorization: `Bearer ${token}` };
}

function explain(world: ModelWorld, source: HubSource, status: number): ModelError {
  const page = `${endpointOf(world)}/${source.repo}`;
  if (status === 401 || status === 403) {
    const advice =
      world.env["HF_TOKEN"] === undefined
        ? `set HF_TOKEN if it is gated or private`
        : `check that HF_TOKEN may read it and its terms are accepted`;
    const message = `the hub does not show ${page} (${status}): check the name, ${advice}`;
    return new ModelError("model_unauthorized", message);
  }
  if (status === 404) {
    return new ModelError("model_not_found", `there is no ${page}: check the name`);
  }
  return new ModelError("model_server_error", `${page} answers ${status}: try again later`);
}

function offline(world: ModelWorld, what = "the model"): ModelError {
  const advice = "check the network, or HF_ENDPOINT";
  const message = `${endpointOf(world)} cannot be reached for ${what}: ${advice}`;
  return new ModelError("model_offline", message);
}
