/** Chat templates as families of models have them, each with the tokens that it is made of. */
import { CHATML_TEMPLATE } from "../../../llm/template/built-in-templates.ts";

export type TemplateFamily = {
  readonly template: string;
  readonly bos: string;
  /** Spellings of control tokens; those in `unmarked` are not marked as special in the file. */
  readonly controls: readonly string[];
  readonly unmarked?: readonly string[];
};

const turns = (turn: string, opening: string, start = ""): string =>
  `${start}{% for m in messages %}${turn}{% endfor %}` +
  `{% if add_generation_prompt %}${opening}{% endif %}`;

export const TEMPLATE_FAMILIES: Readonly<Record<string, TemplateFamily>> = {
  chatml: {
    template: CHATML_TEMPLATE,
    bos: "<|endoftext|>",
    controls: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
  },
  llama3: {
    template: turns(
      "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>",
      "<|start_header_id|>assistant<|end_header_id|>\n\n",
      "{{ bos_token }}",
    ),
    bos: "<|begin_of_text|>",
    controls: ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
  },
  gemma: {
    template: turns(
      "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n" +
        "{{ m.content.strip() }}<end_of_turn>\n",
      "<start_of_turn>model\n",
      "{{ bos_token }}",
    ),
    bos: "<bos>",
    controls: ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<unused0>"],
  },
  mistral: {
    template: turns(
      "{% if m.role == 'assistant' %}{{ m.content }}</s>" +
        "{% else %}[INST]{{ m.content }}[/INST]{% endif %}",
      "",
      "{{ bos_token }}",
    ),
    bos: "<s>",
    controls: ["<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]"],
  },
  deepseek: {
    template: turns(
      "{% if m.role == 'assistant' %}<｜Assistant｜>{{ m.content.split('</think>')[-1] }}" +
        "<｜end▁of▁sentence｜>{% elif m.role == 'system' %}{{ m.content }}" +
        "{% else %}<｜User｜>{{ m.content }}{% endif %}",
      "<｜Assistant｜>",
      "{{ bos_token }}",
    ),
    bos: "<｜begin▁of▁sentence｜>",
    controls: ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"],
    unmarked: ["<｜User｜>", "<｜Assistant｜>"],
  },
  harmony: {
    template: turns("<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>", "<|start|>assistant"),
    bos: "<|startoftext|>",
    controls: ["<|startoftext|>", "<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|call|>"],
  },
  phi: {
    template: turns("<|{{ m.role }}|>\n{{ m.content }}<|end|>\n", "<|assistant|>\n"),
    bos: "<s>",
    controls: ["<s>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"],
  },
  glm: {
    template: turns("<|{{ m.role }}|>\n{{ m.content }}", "<|assistant|>", "[gMASK]<sop>"),
    bos: "[gMASK]",
    controls: ["[gMASK]", "<sop>", "<|user|>", "<|assistant|>", "<|system|>"],
  },
  granite: {
    template: turns(
      "<|start_of_role|>{{ m.role }}<|end_of_role|>{{ m.content }}<|end_of_text|>\n",
      "<|start_of_role|>assistant<|end_of_role|>",
    ),
    bos: "<|end_of_text|>",
    controls: ["<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>"],
  },
};
