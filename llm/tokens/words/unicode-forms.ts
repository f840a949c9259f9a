/**
 * Unicode's normal forms as Hugging Face's `tokenizers` 0.23 makes them. Its tables end at Unicode
 * 9: characters that came later are to it starters without a decomposition, and stand as walls
 * between what is composed before and behind them. A JavaScript engine knows newer ones.
 */
export type UnicodeForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** Code points that the two treat differently, found by comparing them on every one of them. */
const WALLS = [
  ..."7fd 897-89f 8ca-8d3 9fe c3c d3b-d3c eba 1715 1abf-1add 1ae0-1aeb 1df6-1dfa 32ff".split(" "),
  ..."a7f1-a7f4 a82c ab69 105c9 105e4 10781-10785 10787-107b0 107b2-107ba 10d24-10d27".split(" "),
  ..."10d69-10d6d 10eab-10eac 10efa-10efb 10efd-10eff 10f46-10f50 10f82-10f85 11070 1133b".split(
    " ",
  ),
  ..."11383 11385 1138e 11391 113c5 113c7-113c8 113ce-113d0 1145e 11839-1183a 11938".split(" "),
  ..."1193d-1193e 11943 119e0 11a34 11a47 11a99 11d42 11d44-11d45 11d97 11f41-11f42".split(" "),
  ..."16121-16128 1612f 16d68-16d6a 16ff0-16ff1 1ccd6-1ccf9 1e030-1e06d 1e08f 1e130-1e136".split(
    " ",
  ),
  ..."1e2ae 1e2ec-1e2ef 1e4ec-1e4ef 1e5ee-1e5ef 1e6e3 1e6e6 1e6ee-1e6ef 1e6f5 1f16c".split(" "),
  "1fbf0-1fbf9",
];
const SET = WALLS.map((run) =>
  run
    .split("-")
    .map((point) => `\\u{${point}}`)
    .join("-"),
).join("");
/** A mark or letter that is newer than those tables. */
export const WALL = new RegExp(`[${SET}]`, "u");
const RUNS = new RegExp(`[^${SET}]+`, "gu");

export function toForm(text: string, form: UnicodeForm): string {
  const formed = text.normalize(form);
  if (formed === text || !WALL.test(text)) return formed; // nearly always
  return text.replaceAll(RUNS, (run) => run.normalize(form));
}
