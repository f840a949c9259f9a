/**
 * The one conversation of this tab. It lives beside the views, so that an answer goes on while its
 * reader looks at the tree.
 */
import { actionsFor, workerOf as workerOfRow } from "../../act/actions.ts";
import type { Plan } from "../../act/plan.ts";
import { config } from "../../data/config.ts";
import { getJson } from "../../data/http.ts";
import { Store } from "../../data/store.ts";
import { token } from "../../data/token.ts";
import type { TreeRow } from "../../data/types.ts";
import type { Answer } from "./answer.ts";
import { askChat, type ChatWorld } from "./chat-client.ts";
import { keptText, openCalls, readKept, type Said, turnsOf } from "./chat-history.ts";
import { type ChatSettings, chatRequest, type SettingErrors } from "./chat-request.ts";

const KEY = "troupe-chat";
const MODELS_AGAIN_MS = 3_000;

export type Chat = {
  readonly said: readonly Said[];
  readonly settings: ChatSettings;
  readonly errors: SettingErrors;
  readonly models: readonly string[];
  /** Why there are none. */
  readonly models_failure: string | undefined;
  /** In this page alone: it is not kept. */
  readonly api_key: string;
  /** An answer is under way. */
  readonly busy: boolean;
  /** Processes of workers by the worker's name; empty where there is no inspector. */
  readonly workers: ReadonlyMap<string, TreeRow>;
};

const kept = readKept(sessionStorage.getItem(KEY));

export const chat = new Store<Chat>({
  ...kept,
  ...{ errors: {}, models: [], models_failure: undefined, api_key: "", busy: false },
  workers: new Map(),
});

const set = (change: Partial<Chat>): void => chat.update((now) => ({ ...now, ...change }));

const world: ChatWorld = {
  fetch: (path, init) => fetch(path, init),
  now_ms: () => performance.now(),
  sleep: (wait_ms) => new Promise((resolve) => setTimeout(resolve, wait_ms)),
  newKey: () =>
    [...crypto.getRandomValues(new Uint8Array(16))]
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join(""),
};

let stopping = new AbortController();

function keep(): void {
  try {
    const { said, settings } = chat.value;
    sessionStorage.setItem(KEY, keptText({ said, settings }));
  } catch {
    // The tab's storage is full or switched off: the conversation lives as long as the page.
  }
}

addEventListener("pagehide", keep);

export function changeSettings(change: Partial<ChatSettings>): void {
  const { settings, errors } = chat.value;
  const changed = Object.keys(change) as (keyof ChatSettings)[];
  const left = Object.entries(errors).filter(([name]) => !changed.some((each) => each === name));
  set({ settings: { ...settings, ...change }, errors: Object.fromEntries(left) });
}

export function changeKey(api_key: string): void {
  set({ api_key });
  void askModels();
}

let models_timer: ReturnType<typeof setTimeout> | undefined;

const keyFailure = (api_key: string): string =>
  api_key === ""
    ? "This server needs an API key: give it in the settings."
    : "The server does not know this API key: correct it in the settings.";

/** Until there are some: a cluster that starts has none yet. */
export async function askModels(): Promise<void> {
  clearTimeout(models_timer);
  const { api_key } = chat.value;
  const headers: Record<string, string> =
    api_key === "" ? {} : { authorization: `Bearer ${api_key}` };
  try {
    const response = await fetch("/v1/models", { headers });
    const body = (await response.json()) as {
      data?: readonly { id: string }[];
      error?: { message?: string };
    };
    const models = (body.data ?? []).map(({ id }) => id);
    const { settings } = chat.value;
    const model = models.includes(settings.model) ? settings.model : (models[0] ?? "");
    const failure = response.status === 401 ? keyFailure(api_key) : body.error?.message;
    const models_failure = models.length > 0 ? undefined : (failure ?? "No model is served yet.");
    set({ models, models_failure, settings: { ...settings, model } });
    if (models.length > 0 || response.status === 401) return;
  } catch {
    set({ models_failure: "The server does not answer." });
  }
  models_timer = setTimeout(() => void askModels(), MODELS_AGAIN_MS);
}

/** Which workers there are, for the names in event ids and for who wants to kill one. */
export async function askWorkers(): Promise<void> {
  if (config.mode === "chat") return;
  try {
    const { nodes } = await getJson<{ nodes: readonly TreeRow[] }>("/api/tree");
    const found = nodes.flatMap((row) => {
      const name = row.kind === "process" ? workerOfRow(row) : undefined;
      return name === undefined ? [] : [[name, row] as const];
    });
    // Names of workers that are gone still stand in answers.
    set({ workers: new Map([...chat.value.workers, ...found]) });
  } catch {
    // The chat works without.
  }
}

/** Returns false where the settings do not allow it; what is wrong stands beside them then. */
export function ask(text: string, results: ReadonlyMap<string, string>): boolean {
  const { said, settings, busy } = chat.value;
  if (busy) return false;
  const given = openCalls(said).map(({ id }): Said => {
    return { role: "tool", call: id, content: results.get(id) ?? "" };
  });
  const words = text.trim() === "" ? [] : [{ role: "user", content: text } as const];
  if (given.length + words.length === 0) return false;
  return start([...said, ...given, ...words], settings);
}

/** The last question once more, without the answer that it has. */
export function askAgain(): void {
  const { said, settings, busy } = chat.value;
  const last = said.findLastIndex(({ role }) => role === "assistant");
  if (!busy && last > 0) start(said.slice(0, last), settings);
}

function start(said: readonly Said[], settings: ChatSettings): boolean {
  const request = chatRequest(settings, turnsOf(said));
  if (request.body === undefined) {
    set({ errors: request.errors });
    return false;
  }
  stopping = new AbortController();
  void askWorkers();
  set({ said, busy: true, errors: {} });
  let seams = 0;
  const shown = (answer: Answer) => {
    set({ said: [...said, { role: "assistant", answer }] });
    if (answer.seams.length === seams) return;
    seams = answer.seams.length;
    void askWorkers();
  };
  const { api_key } = chat.value;
  const ask = { body: request.body, api_key, token: token.value, shown, stopped: stopping.signal };
  void askChat(world, ask).then(() => {
    set({ busy: false });
    keep();
  });
  return true;
}

export const stop = (): void => stopping.abort();

export function startAnew(): void {
  stop();
  set({ said: [], errors: {} });
  keep();
}

/** What kills the process of a worker; undefined where there is none, or no inspector. */
export function killPlan(worker: string | undefined): Plan | undefined {
  const row = worker === undefined ? undefined : chat.value.workers.get(worker);
  return row && actionsFor(row).find(({ verb }) => verb === "kill -9");
}

export const canAskAgain = ({ said, busy }: Chat): boolean =>
  !busy && said.at(-1)?.role === "assistant";
