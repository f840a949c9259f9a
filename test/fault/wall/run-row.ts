/** Runs one row, whatever it does: a row that throws or never ends has failed, and says so. */
import { hasPassed, type Row, type RowResult, type World } from "./row.ts";

export type Verdict = {
  readonly row: Row;
  readonly took_ms: number;
} & (
  | { readonly kind: "ran"; readonly pass: boolean; readonly result: RowResult }
  | { readonly kind: "skipped"; readonly why: string }
  | { readonly kind: "broken"; readonly why: string }
);

export async function runRow(row: Row, world: World, limit_ms: number): Promise<Verdict> {
  const lacks = row.engines.includes(world.engine)
    ? row.lacks?.()
    : `not with the ${world.engine} engine`;
  if (lacks !== undefined) return { row, took_ms: 0, kind: "skipped", why: lacks };
  const began_ms = performance.now();
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve(`it was not over within ${limit_ms} ms`), limit_ms);
  const ran = row.run(world).then(
    (result) => result,
    (error: Error) => error.stack ?? error.message,
  );
  const result = await Promise.race([ran, late.promise]);
  clearTimeout(timer);
  const took_ms = performance.now() - began_ms;
  if (typeof result === "string") return { row, took_ms, kind: "broken", why: result };
  return { row, took_ms, kind: "ran", pass: hasPassed(result), result };
}
