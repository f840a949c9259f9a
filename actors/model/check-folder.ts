import { type FolderParts, templatePart } from "../../llm/model/model-card.ts";
import { errorText } from "../../runtime/error-text.ts";
import { ModelError } from "./model-error.ts";
import type { ModelWorld } from "./model-world.ts";

/** A folder with a tokenizer; weights in it are not read. */
export type CheckedFolder = {
  readonly kind: "folder";
  /** Without a slash at its end. */
  readonly path: string;
  /** Names of the files in it that say something about the model. */
  readonly files: readonly string[];
};

const TOKENIZER = "tokenizer.json";
const FILES = {
  tokenizer_json: TOKENIZER,
  tokenizer_config: "tokenizer_config.json",
  config: "config.json",
  generation_config: "generation_config.json",
  chat_template: "chat_template.jinja",
  chat_template_json: "chat_template.json",
} as const satisfies Record<keyof FolderParts, string>;

/** The largest tokenizer.json in use, that of Gemma 3, has 33 MB. */
const MAX_FILE_BYTES = 256 << 20;
/** Begin of the pointer file that git-lfs leaves in place of a file that was not fetched. */
const POINTER = "version https://git-lfs";

/** The names in a folder; undefined when `path` is none. */
export async function listFolder(
  world: ModelWorld,
  path: string,
): Promise<readonly string[] | undefined> {
  try {
    return await world.files.list(path);
  } catch {
    return undefined;
  }
}

/** Checks a model for engines that need no weights. Throws ModelError with what is missing. */
export async function checkFolder(
  world: ModelWorld,
  path: string,
  names: readonly string[],
): Promise<CheckedFolder> {
  if (!names.includes(TOKENIZER)) throw notAModel(path, names, `with ${TOKENIZER}, or`);
  const files = Object.values(FILES).filter((name) => names.includes(name));
  const folder = path.replace(/(?<=.)\/+$/, "");
  for (const name of files) await checkFile(world, `${folder}/${name}`);
  return { kind: "folder", path: folder, files };
}

/** Why a folder is no model for an engine that needs weights. */
export function folderWithoutWeights(path: string, names: readonly string[]): ModelError {
  const models = names.some((name) => name.endsWith(".gguf"));
  if (models || !names.includes(TOKENIZER)) return notAModel(path, names, "");
  const advice = "use --engine mocker or echo, or give a .gguf";
  const message = `${path}: a folder with ${TOKENIZER} has no weights: ${advice}`;
  return new ModelError("model_unsupported", message);
}

export async function readFolder(world: ModelWorld, folder: CheckedFolder): Promise<FolderParts> {
  const read = async (name: string): Promise<Uint8Array | undefined> => {
    if (!folder.files.includes(name)) return undefined;
    return await onFile(`${folder.path}/${name}`, (path) => world.files.read(path));
  };
  return {
    tokenizer_json: (await read(FILES.tokenizer_json)) ?? new Uint8Array(0),
    tokenizer_config: await read(FILES.tokenizer_config),
    config: await read(FILES.config),
    generation_config: await read(FILES.generation_config),
    chat_template: await read(FILES.chat_template),
    chat_template_json: await read(FILES.chat_template_json),
  };
}

/** The path of the file that the folder's chat template is read from. */
export async function templateFile(world: ModelWorld, folder: CheckedFolder): Promise<string> {
  return `${folder.path}/${FILES[templatePart(await readFolder(world, folder))]}`;
}

async function checkFile(world: ModelWorld, path: string): Promise<void> {
  const size = (await onFile(path, () => world.files.size_bytes(path))) ?? 0;
  if (size > MAX_FILE_BYTES) {
    const message = `${path} has more than ${MAX_FILE_BYTES >> 20} MB: that is no such file`;
    throw new ModelError("model_corrupt", message);
  }
  const start = await onFile(path, () => world.files.read(path, 0, Math.min(size, POINTER.length)));
  if (new TextDecoder().decode(start) !== POINTER) return;
  const message = `${path} only stands for a file in git-lfs: run git lfs pull there`;
  throw new ModelError("model_corrupt", message);
}

async function onFile<T>(path: string, work: (path: string) => Promise<T>): Promise<T> {
  try {
    return await work(path);
  } catch (thrown) {
    const reason = errorText(thrown).split("\n", 1)[0];
    throw new ModelError("model_not_found", `${path} cannot be read (${reason})`);
  }
}

function notAModel(path: string, names: readonly string[], or_folder: string): ModelError {
  const model = names.find((name) => name.endsWith(".gguf"));
  const advice =
    model === undefined
      ? `give ${or_folder === "" ? "" : `one ${or_folder} `}the path of a .gguf file`
      : `name the file, such as ${path.replace(/\/+$/, "")}/${model}`;
  return new ModelError("model_unsupported", `${path} is a folder: ${advice}`);
}
