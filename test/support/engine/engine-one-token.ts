/** `bun engine-one-token.ts MODEL`: opens the llama engine, makes eight tokens, says how it went. */

import { openLlama } from "../../../actors/engine/llama/llama.ts";
import { EngineDriver, request } from "./engine-driver.ts";

const engine = await openLlama({ model: Bun.argv[2] ?? "" });
const driver = new EngineDriver(engine);
const [answer] = await driver.run([request(1, [40, 41, 42], 8)]);
console.log(engine.describe().build);
console.log(`tokens ${answer?.tokens.length} ${answer?.finished?.reason}`);
await engine.close();
