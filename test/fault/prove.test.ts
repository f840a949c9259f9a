/** The quick rows of the fault wall (`bun run prove` runs them all, with larger loads). */
import { afterAll, expect, test } from "bun:test";
import { SeededRandom } from "../../runtime/simulation/random.ts";
import { References } from "./wall/references.ts";
import { rows } from "./wall/rows/rows.ts";
import { runRow } from "./wall/run-row.ts";

const limit_ms = 60_000;
const references = new References("mocker");
afterAll(() => references.close());

for (const row of rows.filter(({ quick }) => quick)) {
  test(
    `${row.name}: ${row.what}`,
    async () => {
      const random = new SeededRandom(1);
      const world = {
        ...{ engine: "mocker" as const, references, random, quick: true, minutes: 0 },
        say: () => {},
      };
      const verdict = await runRow(row, world, limit_ms);
      if (verdict.kind !== "ran") throw new Error(verdict.why);
      const { lost, duplicated, hung, wrong, problems, why } = verdict.result;
      expect({ lost, duplicated, hung, wrong, problems, why }).toMatchObject({
        ...{ lost: 0, duplicated: 0, hung: 0, wrong: 0, problems: [] },
      });
      expect(verdict.pass).toBe(true);
    },
    limit_ms + 30_000,
  );
}
