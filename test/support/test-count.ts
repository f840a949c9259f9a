/** What `bun test` says of a run, and what `bun run check` makes of it. */
export type Count = { readonly passed: number; readonly failed: number; readonly skipped: number };

/**
 * The last summary in what was printed. A crash, or a run in which nothing ran, is a failure.
 * @param code of the process's end
 */
export function countOf(output: string, code: number): Count {
  const last = (pattern: RegExp) => Number([...output.matchAll(pattern)].at(-1)?.[1] ?? 0);
  const passed = last(/^\s*(\d+) pass$/gm);
  const failed = last(/^\s*(\d+) fail$/gm);
  // What is still to be written is not tested either.
  const skipped = last(/^\s*(\d+) skip$/gm) + last(/^\s*(\d+) todo$/gm);
  const none = passed + failed + skipped === 0;
  return { passed, failed: failed === 0 && (code !== 0 || none) ? 1 : failed, skipped };
}

export const total = (counts: readonly Count[]): Count =>
  counts.reduce((sum, count) => ({
    passed: sum.passed + count.passed,
    failed: sum.failed + count.failed,
    skipped: sum.skipped + count.skipped,
  }));

/** `file: group > name` of each test that JUnit's report says was skipped; the name has the reason. */
export function skippedTests(junit: string): string[] {
  const pattern =
    /<testcase name="([^"]*)" classname="([^"]*)"[^>]*?file="([^"]*)"[^>]*>\s*<skipped/g;
  return [...junit.matchAll(pattern)].map(([, name = "", group = "", file = ""]) =>
    unescaped(`${file}: ${group === "" ? "" : `${group} > `}${name}`),
  );
}

/** So many lines of what was wrong; the first ones say what it is. */
const shown_lines = 30;

/** `file:line: group > name`, and below it what was wrong, of each test that JUnit's report says failed. */
export function failedTests(junit: string): string[] {
  const pattern =
    /<testcase name="([^"]*)" classname="([^"]*)"[^>]*?file="([^"]*)" line="(\d+)"[^>]*>\s*<failure type="([^"]*)"(?: message="([^"]*)")?(?:\s*\/>|>([^<]*)<\/failure>)/g;
  return [...junit.matchAll(pattern)].map((match) => {
    const [, name = "", group = "", file = "", line = "", type = "", message = "", text] = match;
    const why = unescaped(text ?? (message || type))
      .trimEnd()
      .split("\n");
    const test = unescaped(`${file}:${line}: ${group === "" ? "" : `${group} > `}${name}`);
    return [test, ...why.slice(0, shown_lines).map((each) => `  ${each}`)].join("\n");
  });
}

const entities: Readonly<Record<string, string>> = {
  ...{ "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&", "&#10;": "\n" },
};

const unescaped = (text: string) =>
  text.replace(/&(lt|gt|quot|apos|amp|#10);/g, (entity) => entities[entity] ?? entity);

/** A machine that is there to test has to have what the tests need. */
export const isCi = (env: Readonly<Record<string, string | undefined>>): boolean =>
  !["", "0", "false"].includes((env["CI"] ?? "").toLowerCase());

export const exitCodeOf = (count: Count, ci: boolean): number =>
  count.failed > 0 || (ci && count.skipped > 0) ? 1 : 0;

export const lastLine = ({ passed, failed, skipped }: Count): string =>
  `${passed} passed, ${failed} failed, ${skipped} skipped`;
