/** Which template stands for a model without one, and how each of them writes turns. */
import { expect, test } from "bun:test";
import {
  builtInTemplate,
  builtInTemplates,
  standFor,
  standText,
} from "../../../llm/template/built-in-templates.ts";
import { compileChatTemplate } from "../../../llm/template/chat-template.ts";

const S = { role: "system", content: "S" };
const [A, B, C] = [
  { role: "user", content: "A" },
  { role: "assistant", content: "B" },
  { role: "user", content: "C" },
];

function write(name: string, messages = [S, A, B, C], add_generation_prompt = true): string {
  const { source } = builtInTemplate(name) ?? { source: "" };
  const tokens = { bos_token: "<s>", eos_token: "</s>" };
  return compileChatTemplate(source).render({
    messages,
    add_generation_prompt,
    ...tokens,
    now_ms: 0,
  });
}

const texts: Readonly<Record<string, string>> = {
  phi4: "<|im_start|>system<|im_sep|>S<|im_end|><|im_start|>user<|im_sep|>A<|im_end|><|im_start|>assistant<|im_sep|>B<|im_end|><|im_start|>user<|im_sep|>C<|im_end|><|im_start|>assistant<|im_sep|>",
  glm4: "[gMASK]<sop><|system|>\nS<|user|>\nA<|assistant|>\nB<|user|>\nC<|assistant|>",
  phi3: "<|system|>\nS<|end|>\n<|user|>\nA<|end|>\n<|assistant|>\nB<|end|>\n<|user|>\nC<|end|>\n<|assistant|>\n",
  granite:
    "<|start_of_role|>system<|end_of_role|>S<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>A<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>B<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>C<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
  "command-r":
    "<s><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>S<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>A<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>B<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>C<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
  deepseek: "<s>S<｜User｜>A<｜Assistant｜>B</s><｜User｜>C<｜Assistant｜>",
  llama4:
    "<s><|header_start|>system<|header_end|>\n\nS<|eot|><|header_start|>user<|header_end|>\n\nA<|eot|><|header_start|>assistant<|header_end|>\n\nB<|eot|><|header_start|>user<|header_end|>\n\nC<|eot|><|header_start|>assistant<|header_end|>\n\n",
  llama3:
    "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nA<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nB<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nC<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
  gemma4:
    "<s><|turn>system\nS<turn|>\n<|turn>user\nA<turn|>\n<|turn>model\nB<turn|>\n<|turn>user\nC<turn|>\n<|turn>model\n",
  gemma:
    "<s><start_of_turn>user\nS\n\nA<end_of_turn>\n<start_of_turn>model\nB<end_of_turn>\n<start_of_turn>user\nC<end_of_turn>\n<start_of_turn>model\n",
  "mistral-v7": "<s>[SYSTEM_PROMPT]S[/SYSTEM_PROMPT][INST]A[/INST]B</s>[INST]C[/INST]",
  mistral: "<s>[INST]S\n\nA[/INST]B</s>[INST]C[/INST]",
  harmony:
    "<|start|>developer<|message|># Instructions\n\nS\n\n<|end|><|start|>user<|message|>A<|end|><|start|>assistant<|channel|>final<|message|>B<|end|><|start|>user<|message|>C<|end|><|start|>assistant",
  chatml:
    "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n",
  llama2: "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nA [/INST] B </s><s>[INST] C [/INST]",
  vicuna: "<s>S\n\nUSER: A\nASSISTANT: B</s>\nUSER: C\nASSISTANT:",
  zephyr:
    "<|system|>\nS</s>\n<|user|>\nA</s>\n<|assistant|>\nB</s>\n<|user|>\nC</s>\n<|assistant|>\n",
};

test("each writes the turns of its family", () => {
  expect(builtInTemplates.map(({ name }) => name).sort()).toEqual(Object.keys(texts).sort());
  for (const [name, text] of Object.entries(texts))
    expect([name, write(name)]).toEqual([name, text]);
});

test("a system message alone is shown, and an answer that is there opens none", () => {
  for (const { name } of builtInTemplates) {
    expect(write(name, [S])).toContain("S");
    expect(write(name, [A, B], false)).toContain("B");
  }
  expect(write("chatml", [A, B], false).endsWith("B<|im_end|>\n")).toBe(true);
});

test("a vocabulary with a family's turn tokens gets that family's template", () => {
  for (const { name, tokens } of builtInTemplates) {
    if (tokens.length === 0) continue;
    const { from, template } = standFor((spelling) => tokens.includes(spelling));
    expect([from, template.name]).toEqual(["vocabulary", name]);
    // One token of several is no sign.
    const some = standFor((spelling) => spelling === tokens[0]);
    expect(some.template.name === name && some.from === "vocabulary").toBe(false);
  }
  // Phi 4 has the tokens of ChatML and one more; Mistral's newer vocabularies those of the older.
  const phi4 = ["<|im_start|>", "<|im_end|>", "<|im_sep|>"];
  expect(standFor((token) => phi4.includes(token)).template.name).toBe("phi4");
});

test("what is left gets ChatML, and a person is told what to do", () => {
  const stand = standFor(() => false);
  expect([stand.from, stand.template.name]).toEqual(["default", "chatml"]);
  for (const one of [stand, standFor((token) => /_of_turn>$/.test(token))]) {
    const text = standText("m", one);
    expect(text).toContain("'m' has no chat template");
    expect(text).toContain("--chat-template FILE|NAME");
    expect(text).toContain("/v1/completions");
    expect(text).not.toContain("\n");
  }
});
