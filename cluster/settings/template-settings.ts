/** `--chat-template`: a template that replaces a model's own. */
import { resolve } from "node:path";
import { builtInTemplate, builtInTemplates } from "../../llm/template/built-in-templates.ts";
import { ChatTemplateError, compileChatTemplate } from "../../llm/template/chat-template.ts";
import { SettingsError } from "./settings-error.ts";

/** Either `name` (built in) or `file` (an absolute path) is set. */
export type ChatTemplateSetting = {
  /** Undefined = of the only model. */
  readonly model?: string;
  readonly name?: string;
  readonly file?: string;
};

/**
 * Each is `FILE|NAME`, or `MODEL=FILE|NAME`. Throws SettingsError.
 * @param served with their names, where they were given one
 */
export function chatTemplates(
  given: readonly string[],
  served: readonly { readonly name?: string }[],
): readonly ChatTemplateSetting[] {
  const models = served.map(({ name }) => name);
  const settings = given.map((text): ChatTemplateSetting => {
    const equals = text.indexOf("=");
    const model = equals > 0 ? text.slice(0, equals) : undefined;
    if (model === undefined || !models.includes(model)) return templateOf(text);
    return { model, ...templateOf(text.slice(equals + 1)) };
  });
  const alone = settings.find(({ model }) => model === undefined);
  if (alone !== undefined && models.length > 1) {
    const names = models.join(", ");
    throw new SettingsError(
      `--chat-template ${templateText(alone)}: say of which model: MODEL=FILE|NAME, MODEL one of ${names}`,
    );
  }
  const names = settings.map(({ model }) => model);
  if (new Set(names).size < names.length) {
    throw new SettingsError("--chat-template: a model has one template, and one is given twice");
  }
  return settings;
}

/** Text with a slash or a dot is a file; other text is a built-in name. */
function templateOf(text: string): ChatTemplateSetting {
  if (builtInTemplate(text) !== undefined) return { name: text };
  if (/[./\\]/.test(text)) return { file: resolve(text) };
  const names = builtInTemplates.map(({ name }) => name).join(", ");
  throw new SettingsError(
    `--chat-template ${text}: no built-in template has this name; there are ${names}; a file is given by its path, such as ./${text}`,
  );
}

/** The largest templates that models come with have some 50 kB. */
export const TEMPLATE_MAX_BYTES = 4 << 20;

/** A template that cannot be read, or can write no chat, stops the start. Throws SettingsError. */
export function checkTemplate(file: string, source: string): void {
  const wrong = (what: string) => new SettingsError(`--chat-template ${file}: ${what}`);
  if (source.trim() === "") throw wrong("the file is empty: write a template, or leave it out");
  let never: string | undefined;
  try {
    never = compileChatTemplate(source).whyNever();
  } catch (thrown) {
    if (!(thrown instanceof ChatTemplateError)) throw thrown;
    throw wrong(thrown.message);
  }
  if (never !== undefined) throw wrong(`the chat template can write no chat: ${never}`);
}

/** As it is given. */
export const templateText = ({ model, name, file }: ChatTemplateSetting): string =>
  `${model === undefined ? "" : `${model}=`}${name ?? file ?? ""}`;

export const templateFor = (
  settings: readonly ChatTemplateSetting[],
  model: string,
): ChatTemplateSetting | undefined =>
  settings.find((setting) => setting.model === undefined || setting.model === model);
