/** One declaration gives a setting its type, its default, its unit and its line in a dump. */
import { expect, test } from "bun:test";
import { defaultsOf, type FlagValue, givenFor, settingsOf } from "../../../runtime/setting.ts";

const group = {
  timeout_ms: {
    name: "timeout",
    type: "seconds",
    min: 0,
    max: 60,
    default: 2.5,
    times: 1000,
    help: "",
  },
  mode: { name: "mode", type: "choice", choices: ["a", "b"], default: "a", help: "" },
  order: { name: "order", type: "choice", choices: ["up", "down"], help: "" },
  file: { name: "file", type: "text", help: "" },
  hosts: { name: "host", type: "list", help: "" },
  quiet: { name: "quiet", type: "switch", help: "" },
} as const;

test("what nobody gives has its default, or is empty", () => {
  const settings = defaultsOf(group);
  const mode: "a" | "b" = settings.mode;
  const order: "up" | "down" | "" = settings.order;
  expect([mode, order]).toEqual(["a", ""]);
  expect(settings).toEqual({
    ...{ timeout_ms: 2_500, mode: "a", order: "", file: "", hosts: [], quiet: false },
  });
});

test("given values come in the setting's unit, and back in the flag's", () => {
  const given: Record<string, FlagValue> = {
    ...{ timeout: 0.25, mode: "b", order: "down", file: "f", host: ["h", "i"], quiet: true },
  };
  const settings = settingsOf(group, (name) => given[name]);
  expect(settings.timeout_ms).toBe(250);
  expect(settings.hosts).toEqual(["h", "i"]);
  expect(givenFor(group, settings)).toEqual(given);
});
