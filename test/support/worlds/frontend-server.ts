/** A real frontend actor on a real socket, in front of scripted answers. */

import type { FrontendMessage } from "../../../actors/frontend/frontend.ts";
import {
  type DoorSettings,
  FrontendActor,
  type ModelDirectory,
} from "../../../actors/frontend/frontend.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { type ActorSystem, createSystem } from "../../../runtime/kernel/system.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { realIds } from "../../../runtime/real/ids.ts";
import { realNet } from "../../../runtime/real/net.ts";
import { realRandom } from "../../../runtime/real/random.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import { FakeAnswers, fakeEmbedding, fakeModels } from "./frontend-fakes.ts";
import { absent, MemoryLog } from "./test-system.ts";

export type TestDoor = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  readonly answers: FakeAnswers;
  readonly models: ModelDirectory;
  readonly log: MemoryLog;
  readonly system: ActorSystem;
  readonly actor: Ref<FrontendMessage>;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
};

export async function startDoor(
  settings: Partial<DoorSettings> = {},
  answers = new FakeAnswers(),
  models: ModelDirectory = fakeModels(),
): Promise<TestDoor> {
  const log = new MemoryLog();
  const system = createSystem({
    node: "door",
    capabilities: {
      clock: realClock(),
      random: realRandom(),
      ids: realIds(),
      log,
      net: realNet(),
      spawn: absent("spawn"),
      files: absent("files"),
      store: new MemoryStore(),
    },
  });
  const make = () =>
    new FrontendActor({
      host: "127.0.0.1",
      port: 0,
      share_port: false,
      models,
      startAnswer: answers.start,
      startEmbedding: fakeEmbedding,
      resolve: () => absent("worker"),
      settings,
    });
  const actor = await system.spawnReady(make, { name: "frontend", role: "frontend" });
  const { port } = await system.ask(actor, { kind: "get_door" }, { deadline_ms: 1000 });
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    port,
    answers,
    models,
    log,
    system,
    actor,
    post: (path, body, init) =>
      fetch(url + path, {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        ...init,
        headers: { "content-type": "application/json", ...(init?.headers as object) },
      }),
    [Symbol.asyncDispose]: () => system.shutdown(2000),
  };
}

export type SseEvent = { readonly id: string; readonly data: string };

/** Events of a whole body. Throws when it is not made of `id:` and `data:` lines. */
export function parseEvents(text: string): readonly SseEvent[] {
  if (!text.endsWith("\n\n")) throw new Error(`body does not end an event: ${text.slice(-80)}`);
  return text
    .slice(0, -2)
    .split("\n\n")
    .map((block) => {
      const match = /^id: (.*)\ndata: (.*)$/.exec(block);
      if (match === null) throw new Error(`not an event: ${block}`);
      return { id: match[1] ?? "", data: match[2] ?? "" };
    });
}
