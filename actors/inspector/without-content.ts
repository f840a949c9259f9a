/**
 * What people may see of messages and requests where texts of clients are not to be shown: names,
 * ids and numbers stay, texts, tokens and bytes become how long they are. Pure.
 */

/** A name, an id or an address; texts of people have spaces, or are longer. */
const NAME = /^[\w.:@/#~+-]{0,80}$/;
/** As `plainText` writes bytes. */
const BYTES = /^\((\d+) bytes .*\)$/s;

/** Of a message as JSON has it. */
export function withoutContent(value: unknown): unknown {
  if (typeof value === "string") return shortened(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    // A list that was cut ends so.
    const all = value.at(-1) === "…" ? value.slice(0, -1) : value;
    const isTokens = all.length > 0 && all.every((each) => typeof each === "number");
    if (isTokens) return `(${all.length} numbers${all.length < value.length ? "…" : ""})`;
    return value.map(withoutContent);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, withoutContent(each)]),
  );
}

function shortened(text: string): string {
  if (NAME.test(text)) return text;
  const bytes = BYTES.exec(text);
  return bytes === null ? `(${text.length} characters)` : `(${bytes[1]} bytes)`;
}

/** A request's page: another machine's frontend may show more than this door. */
export function pageWithoutContent<T extends object>(page: T): T {
  const { curl } = page as { readonly curl?: unknown };
  const head = typeof curl === "string" ? curl.split(" \\\n  -d ")[0] : curl;
  return {
    ...page,
    ...("text" in page ? { text: "" } : {}),
    ...("curl" in page ? { curl: head } : {}),
  };
}
