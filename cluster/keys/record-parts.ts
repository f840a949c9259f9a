/**
 * A long list of YAML records in parts that can be read one by one, since a reader of YAML reads a
 * text whole: thousands of records would hold up everything else of a process for a while.
 */

export type RecordPart = {
  readonly text: string;
  /** Lines of the file before it. */
  readonly lines_before: number;
};

const RECORDS_A_PART = 64;
/** Before the first record: blank lines, comments, `keys:`. */
const HEAD = /^\uFEFF?(?:[ \t]*(?:#[^\n]*|---|keys:[ \t]*(?:#[^\n]*)?)?\r?\n)*$/;

/**
 * In order. One part where the records do not stand below each other as people write them, `- ` at
 * the begin of each in one column and nothing left of it: a list in brackets, JSON, a mistake.
 */
export function recordParts(text: string): readonly RecordPart[] {
  const whole = [{ text, lines_before: 0 }];
  const first = /^( *)- /m.exec(text);
  if (first === null || !HEAD.test(text.slice(0, first.index))) return whole;
  const indent = first[1]!.length;
  const parts: RecordPart[] = [];
  let [from, lines_before, records, line] = [0, 0, 0, 0];
  for (let at = 0; at < text.length; line += 1) {
    const end = text.indexOf("\n", at);
    const next = end < 0 ? text.length : end + 1;
    if (at >= first.index) {
      const kind = lineKind(text.slice(at, next), indent);
      if (kind === "other") return whole;
      if (kind === "record") {
        if (records > 0 && records % RECORDS_A_PART === 0) {
          parts.push({ text: text.slice(from, at), lines_before });
          [from, lines_before] = [at, line];
        }
        records += 1;
      }
    }
    at = next;
  }
  return [...parts, { text: text.slice(from), lines_before }];
}

/** "other": what stands left of the records, or beside them, may mean anything. */
function lineKind(line: string, indent: number): "record" | "inside" | "other" {
  const trimmed = line.trim();
  if (trimmed === "" || trimmed.startsWith("#")) return "inside";
  const column = line.search(/\S/);
  if (column > indent) return "inside";
  return column === indent && /^-\s/.test(line.slice(indent)) ? "record" : "other";
}
