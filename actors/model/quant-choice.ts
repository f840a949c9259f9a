/** A file in a hub repository. */
export type HubFile = {
  readonly path: string;
  readonly size_bytes: number;
  readonly sha256: string | undefined;
};

/** Default quantizations, best first: small enough for most machines, and good enough. */
const PREFERRED = [
  ..."Q4_K_M Q8_0 Q5_K_M Q6_K Q4_K_S Q5_K_S Q4_0 Q4_K_XL IQ4_XS IQ4_NL Q5_0".split(" "),
  ..."Q3_K_M Q3_K_L MXFP4 Q4_1 Q3_K_S Q2_K BF16 F16 F32".split(" "),
];
const PART = /-(\d{5})-of-(\d{5})\.gguf$/i;
/** Parts of a model that are no model by themselves. */
const NOT_A_MODEL = /(^|\/)(mmproj|imatrix)|\bimatrix\b/i;

export type QuantChoice =
  /** All parts in order; the first is the one to open. */
  | { readonly kind: "files"; readonly files: readonly HubFile[] }
  | { readonly kind: "none"; readonly available: readonly string[] }
  | { readonly kind: "incomplete"; readonly name: string };

/** Picks the file (or the parts) of a quantization, or of the best known one; case is ignored. */
export function chooseQuant(files: readonly HubFile[], quant: string | undefined): QuantChoice {
  const groups = groupParts(files);
  const names = [...groups.keys()];
  const chosen = quant === undefined ? preferred(names) : named(names, quant);
  if (chosen === undefined) return { kind: "none", available: names.sort() };
  const group = groups.get(chosen)!;
  const parts = group.files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  if (parts.length !== group.count) return { kind: "incomplete", name: chosen };
  return { kind: "files", files: parts };
}

type Group = { readonly count: number; readonly files: HubFile[] };

/** Model files by name, the parts of a split one together under the name without numbers. */
function groupParts(files: readonly HubFile[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const file of files) {
    if (!/\.gguf$/i.test(file.path) || NOT_A_MODEL.test(file.path)) continue;
    const name = file.path.replace(PART, ".gguf");
    const count = Number(PART.exec(file.path)?.[2] ?? 1);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, { count, files: [file] });
    else group.files.push(file);
  }
  return groups;
}

function preferred(names: readonly string[]): string | undefined {
  for (const quant of PREFERRED) {
    const found = named(names, quant);
    if (found !== undefined) return found;
  }
  return [...names].sort()[0];
}

/** The shortest name that has the quantization as a part of its own, or is that file. */
function named(names: readonly string[], quant: string): string | undefined {
  const wanted = quant.toLowerCase();
  const fits = names.filter((name) => {
    const low = name.toLowerCase();
    if (low === wanted || low === `${wanted}.gguf`) return true;
    const at = ` ${low.replaceAll(/[-./]/g, " ")} `;
    return at.includes(` ${wanted.replaceAll(/[-./]/g, " ")} `);
  });
  return fits.sort((a, b) => a.length - b.length || (a < b ? -1 : 1))[0];
}
