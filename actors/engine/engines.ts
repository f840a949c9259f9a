/** Every engine by the name that `--engine` has for it: one line each. */
import { echoKind } from "./echo/echo.ts";
import type { EngineKind } from "./engine-kind.ts";
import { llamaKind } from "./llama/llama.ts";
import { mockerKind } from "./mocker/mocker.ts";

export const engines = {
  llama: llamaKind,
  echo: echoKind,
  mocker: mockerKind,
} as const;

export type EngineName = keyof typeof engines;

export const engineNames = Object.keys(engines) as readonly EngineName[];

export const engineKind = (name: EngineName): EngineKind => engines[name];
