import { type Json, objectOf } from "../vocab/json-values.ts";
import { toForm, type UnicodeForm } from "./unicode-forms.ts";

/** A step of a `tokenizer.json` that changes text before it is cut into words. */
export type NormalizerStep =
  | { readonly kind: "form"; readonly form: UnicodeForm }
  | { readonly kind: "replace"; readonly from: string; readonly to: string }
  /** Put before every piece of text that is not empty. */
  | { readonly kind: "prepend"; readonly text: string }
  | { readonly kind: "lower" }
  | { readonly kind: "strip"; readonly left: boolean; readonly right: boolean };

const FORMS: readonly string[] = ["NFC", "NFD", "NFKC", "NFKD"];

/** Its steps, or the name of one that is not known here. */
export function normalizerSteps(normalizer: unknown): NormalizerStep[] | string {
  if (normalizer === null || normalizer === undefined) return [];
  const json = objectOf(normalizer);
  const { type } = json;
  if (type !== "Sequence") return oneStep(json) ?? `the normalizer ${String(type)}`;
  const steps: NormalizerStep[] = [];
  for (const inner of Array.isArray(json["normalizers"]) ? json["normalizers"] : []) {
    const found = normalizerSteps(inner);
    if (typeof found === "string") return found;
    steps.push(...found);
  }
  return steps;
}

function oneStep(json: Json): NormalizerStep[] | undefined {
  const { type } = json;
  if (typeof type !== "string") return undefined;
  if (FORMS.includes(type)) return [{ kind: "form", form: type as UnicodeForm }];
  if (type === "Lowercase") return [{ kind: "lower" }];
  if (type === "Strip") {
    return [
      { kind: "strip", left: json["strip_left"] === true, right: json["strip_right"] === true },
    ];
  }
  if (type === "Prepend" && typeof json["prepend"] === "string") {
    return [{ kind: "prepend", text: json["prepend"] }];
  }
  const from = objectOf(json["pattern"])["String"];
  const to = json["content"];
  if (type === "Replace" && typeof from === "string" && from !== "" && typeof to === "string") {
    return [{ kind: "replace", from, to }];
  }
  return undefined;
}

export function normalize(text: string, steps: readonly NormalizerStep[]): string {
  let out = text;
  for (const step of steps) out = stepped(out, step);
  return out;
}

function stepped(text: string, step: NormalizerStep): string {
  switch (step.kind) {
    case "form":
      return toForm(text, step.form);
    case "replace":
      return text.replaceAll(step.from, () => step.to);
    case "prepend":
      return text === "" ? "" : step.text + text;
    case "lower":
      return lowered(text);
    case "strip": {
      const left = step.left ? text.replace(/^\p{White_Space}+/u, "") : text;
      return step.right ? left.replace(/\p{White_Space}+$/u, "") : left;
    }
  }
}

/** Letter by letter: what stands beside a sigma does not count, as it would for a whole text. */
function lowered(text: string): string {
  const lower = text.toLowerCase();
  if (!lower.includes("ς")) return lower;
  return Array.from(text, (char) => char.toLowerCase()).join("");
}
