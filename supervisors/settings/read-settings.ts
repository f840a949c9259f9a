/** What the command line, the environment and the files they name ask for. */
import { readKeyFile } from "../../actors/frontend/frontend.ts";
import { helpText } from "./flags.ts";
import {
  dumpConfig,
  parseConfig,
  parseEnvironment,
  parseFlags,
  type Settings,
  SettingsError,
  settle,
} from "./settings.ts";

export type Wish =
  | { readonly kind: "run"; readonly settings: Settings }
  | { readonly kind: "print"; readonly text: string };

/**
 * @param read the text of a file; throws when it cannot be read
 * Throws SettingsError.
 */
export function readSettings(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  version: string,
  read: (path: string) => string,
): Wish {
  const textOf = (path: string, flag: string) => {
    try {
      return read(path);
    } catch {
      throw new SettingsError(`${flag}: there is no readable file ${path}`);
    }
  };
  const given = parseFlags(args);
  if (given.help === true) return { kind: "print", text: helpText() };
  if (given.version === true) return { kind: "print", text: `troupe ${version}` };
  const environment = parseEnvironment(env);
  const file = given.config ?? environment.config;
  const yaml = file === undefined ? {} : parseConfig(textOf(`${file}`, "--config"), `${file}`);
  const layers = [given, environment, yaml];
  const key_file = layers.find((layer) => layer["api-key-file"] !== undefined)?.["api-key-file"];
  const keys = key_file === undefined ? [] : readKeyFile(textOf(`${key_file}`, "--api-key-file"));
  const settings = settle(layers, keys);
  const dump = layers.some((layer) => layer["dump-config"] === true);
  return dump ? { kind: "print", text: dumpConfig(settings).trimEnd() } : { kind: "run", settings };
}
