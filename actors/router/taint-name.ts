/** Labels and taints of workers, as flags and requests write them: `gpu=h100`, `dynamo.topology/zone=eu-1`. */
export const isTaintName = (text: string): boolean => /^[\w.\-/=]{1,128}$/.test(text);

export const TAINT_RULE = "is made of letters, digits and . _ - / =, at most 128 of them";
