/** What planners decide, in the words that one line has room for. Pure. */

type Row = {
  readonly model?: unknown;
  readonly points?: readonly { readonly roles?: Readonly<Record<string, unknown>> }[];
};

/**
 * Out of an answer of `/api/planner` or a frame of its topic: workers that serve, and how many there
 * are to be, by role. Undefined: it tells of no planner's workers.
 */
export function plannerWords(said: unknown): string | undefined {
  const rows = (said as { planners?: unknown } | undefined)?.planners;
  if (!Array.isArray(rows)) return undefined;
  const words = (rows as readonly Row[]).flatMap(({ model, points }) => {
    const roles = Object.entries(points?.at(-1)?.roles ?? {});
    if (roles.length === 0) return [];
    const counts = roles.map(([role, counts]) => `${role} ${countsOf(counts)}`);
    return [rows.length > 1 ? `${model}: ${counts.join(", ")}` : counts.join(", ")];
  });
  return words.length === 0 ? undefined : `planner ${words.join("; ")}`;
}

function countsOf(counts: unknown): string {
  const { serving, target } = counts as { serving?: unknown; target?: unknown };
  return serving === target ? `${serving}` : `${serving}→${target}`;
}
