/** Command line, environment and the files that they name → a command. */
import { fieldFlags } from "../../actors/frontend/flags.ts";
import { readRequestTemplate } from "../../actors/frontend/settings.ts";
import { plannerFlags } from "../../actors/planner/flags.ts";
import { CONFIG_MAX_BYTES } from "../../actors/planner/pipeline/config-text.ts";
import { routerFlags } from "../../actors/router/flags.ts";
import { errorText } from "../../runtime/error-text.ts";
import { TextFileError } from "../../runtime/real/read-text.ts";
import { checkTlsPair } from "../../runtime/tls-pair.ts";
import { type KeyFile, readKeyFile } from "../keys/key-file.ts";
import { dumpConfig } from "./dump-config.ts";
import { environmentWarnings } from "./environment-names.ts";
import { type FlagName, helpText } from "./flags.ts";
import { parseConfig, parseEnvironment, parseFlags } from "./read-values.ts";
import { type Settings, settle } from "./settings.ts";
import { SettingsError } from "./settings-error.ts";
import { checkTemplate, TEMPLATE_MAX_BYTES } from "./template-settings.ts";

/** A command of the command line. */
export type Command =
  /** `warnings`: lines about settings that have no effect. */
  | { readonly kind: "run"; readonly settings: Settings; readonly warnings: readonly string[] }
  | { readonly kind: "print"; readonly text: string };

/**
 * @param read the text of a file; throws when it cannot be read, TextFileError that says why.
 *   With `max_bytes` it takes regular files of at most so many.
 * Throws SettingsError.
 */
export function readSettings(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  version: string,
  read: (path: string, max_bytes?: number) => string,
): Command {
  const textOf = (path: string, flag: string, max_bytes?: number) => {
    try {
      return read(path, max_bytes);
    } catch (thrown) {
      if (thrown instanceof TextFileError) throw new SettingsError(`${flag}: ${thrown.message}`);
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
  const keys: KeyFile =
    key_file === undefined
      ? { lines: [], rules: [] }
      : readKeyFile(textOf(`${key_file}`, "--api-key-file"), `${key_file}`);
  const { name } = fieldFlags.request_template;
  const template_file = layers.find((layer) => layer[name] !== undefined)?.[name];
  const template =
    template_file === undefined
      ? undefined
      : templateOf(`${template_file}`, textOf(`${template_file}`, `--${name}`));
  const plan_name = plannerFlags.config.name;
  const plan_file = layers.find((layer) => layer[plan_name] !== undefined)?.[plan_name];
  const plan =
    plan_file === undefined ? "" : textOf(`${plan_file}`, `--${plan_name}`, CONFIG_MAX_BYTES);
  const settings = settle(layers, keys.lines, keys.rules, template, plan);
  for (const { file } of settings.chat_templates) {
    if (file !== undefined) {
      checkTemplate(file, textOf(file, "--chat-template", TEMPLATE_MAX_BYTES));
    }
  }
  checkTls(settings.frontend, textOf);
  const dump = layers.some((layer) => layer["dump-config"] === true);
  if (dump) return { kind: "print", text: dumpConfig(settings).trimEnd() };
  const { given: own, filed } = settings.frontend.keys;
  const warnings = environmentWarnings(env, own.length + filed.length === 0);
  const isGiven = (name: FlagName) => layers.some((layer) => layer[name] !== undefined);
  const more = [...routerWarnings(settings, isGiven), ...recordWarnings(settings)];
  return { kind: "run", settings, warnings: [...warnings, ...more] };
}

function templateOf(path: string, text: string) {
  try {
    return readRequestTemplate(text);
  } catch (error) {
    throw new SettingsError(`--request-template ${path}: ${errorText(error)}`);
  }
}

/** Throws SettingsError for files that are no certificate and its key. */
function checkTls(
  { tls_cert, tls_key }: Settings["frontend"],
  textOf: (path: string, flag: string) => string,
): void {
  if (tls_cert === "") return;
  const pair = {
    cert: textOf(tls_cert, "--tls-cert-path"),
    key: textOf(tls_key, "--tls-key-path"),
  };
  try {
    checkTlsPair(pair, tls_cert, tls_key);
  } catch (error) {
    throw new SettingsError(`--tls-cert-path, --tls-key-path: ${errorText(error)}`);
  }
}

const recordWarnings = ({ record_dir }: Settings): readonly string[] =>
  record_dir === ""
    ? []
    : [`--record: prompts and answers of all requests are written to ${record_dir}`];

/** Not an error, as a policy is often changed while the rest of a file stays. */
function routerWarnings(
  { router }: Settings,
  isGiven: (name: FlagName) => boolean,
): readonly string[] {
  const { objective } = routerFlags;
  if (router.mode !== "kv" || router.policy === "adaptive" || !isGiven(objective.name)) return [];
  return [
    `--${objective.name} does nothing beside --router-policy ${router.policy}, whose cost has no ` +
      "objective: leave it out, or take --router-policy adaptive",
  ];
}
