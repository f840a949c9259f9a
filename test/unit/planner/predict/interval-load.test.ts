import { expect, test } from "bun:test";
import {
  LoadTraceError,
  loadRows,
  loadsOf,
} from "../../../../actors/planner/predict/interval-load.ts";

const row = (arrival_ms: number, input_length: number, output_length: number) => ({
  ...{ arrival_ms, input_length, output_length },
});

test("rows of a trace become the loads of whole intervals", () => {
  const rows = [row(5000, 10, 1), row(5500, 30, 3), row(7000, 50, 5), row(8200, 1, 1)];
  expect(loadsOf(rows, 1000)).toEqual([
    { requests: 2, isl: 20, osl: 2 },
    { requests: 0, isl: undefined, osl: undefined },
    { requests: 1, isl: 50, osl: 5 },
  ]);
  expect(loadsOf([], 1000)).toEqual([]);
  expect(loadsOf([row(1, 2, 3)], 1000)).toEqual([{ requests: 1, isl: 2, osl: 3 }]);
});

test("lines of a Mooncake trace are read, and of a bad one the line is named", () => {
  const line = JSON.stringify({ timestamp: 3, input_length: 4, output_length: 5, hash_ids: [1] });
  expect(loadRows(`${line}\n\n`)).toEqual([row(3, 4, 5)]);
  expect(() => loadRows(`${line}\n{`)).toThrow(LoadTraceError);
  const silent = JSON.stringify({ timestamp: 3, input_length: 4 });
  expect(() => loadRows(silent)).toThrow("line 1 of the warm-up trace: output_length must be");
});
