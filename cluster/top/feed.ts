/**
 * What the inspector says, as it comes: frames over its WebSocket, or whole trees asked for each
 * second where there is none. A connection that is lost is opened again.
 */

import { plannerWords } from "./planner-words.ts";
import { applyTree, type Rows, readTotals, type Totals, withRates } from "./row.ts";
import type { Link } from "./view.ts";

export type News = {
  readonly link: Link;
  readonly rows: Rows;
  readonly totals: Totals | undefined;
  /** What planners decide, in words; empty: there is none. */
  readonly planner: string;
};

const LOOK_MS = 1_000;
const ANSWER_DEADLINE_MS = 3_000;
/** Until the first tree. */
const FIRST_FRAME_MS = 3_000;
/** Between two tries. */
const AGAIN_MS = [250, 500, 1_000, 2_000] as const;

/** One whole tree; rejects with one line. */
export async function askTree(url: string): Promise<Rows> {
  const body = (await asked(url, "/api/tree")) as { readonly nodes?: unknown } | null;
  if (!Array.isArray(body?.nodes)) {
    throw new Error(`${url}/api/tree lists no nodes: is that an inspector's port?`);
  }
  return applyTree(new Map(), { ...body, full: true });
}

/** The last point of the load; undefined: none is known. */
export async function askTotals(url: string): Promise<Totals | undefined> {
  const body = await asked(url, "/api/load").catch(() => undefined);
  const points = (body as { points?: unknown[] } | undefined)?.points;
  return readTotals(points?.at(-1));
}

/** Empty: there is no planner. */
export async function askPlanner(url: string): Promise<string> {
  return plannerWords(await asked(url, "/api/planner").catch(() => undefined)) ?? "";
}

async function asked(url: string, path: string): Promise<unknown> {
  const signal = AbortSignal.timeout(ANSWER_DEADLINE_MS);
  const response = await fetch(`${url}${path}`, { signal }).catch((error: unknown) => {
    const cause = reason(error);
    throw new Error(`nothing answers at ${url} (${cause})`, { cause });
  });
  if (!response.ok) {
    throw new Error(`${url}${path} answers ${response.status}: is that an inspector's port?`);
  }
  return response.json().catch(() => {
    throw new Error(`${url}${path} is no JSON: is that an inspector's port?`);
  });
}

function reason(error: unknown): string {
  const { code } = error as { code?: unknown };
  // A time-out's is a number of the browsers' old list.
  if (typeof code === "string") return code;
  return error instanceof Error ? error.name : String(error);
}

/** Calls `heard` with each change, until `stop`. */
export class Feed {
  readonly #url: string;
  readonly #heard: (news: News) => void;
  #news: News = {
    ...{ link: { kind: "away", why: "connecting" }, rows: new Map() },
    ...{ totals: undefined, planner: "" },
  };
  #stopped = false;
  #socket: WebSocket | undefined;

  constructor(url: string, heard: (news: News) => void) {
    this.#url = url;
    this.#heard = heard;
  }

  async run(): Promise<void> {
    for (let tries = 0; !this.#stopped; tries += 1) {
      // A socket that has told something begins the tries anew.
      if (await this.#follow()) tries = 0;
      if (this.#stopped) return;
      try {
        await this.#poll();
      } catch (error) {
        const { message, cause } = error as Error;
        this.#say({ link: { kind: "away", why: String(cause ?? message) } });
      }
      await Bun.sleep(AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)] ?? LOOK_MS);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.close();
  }

  #say(news: Partial<News>): void {
    this.#news = { ...this.#news, ...news };
    if (!this.#stopped) this.#heard(this.#news);
  }

  /** Until the connection ends. True: it has told something. */
  #follow(): Promise<boolean> {
    return new Promise((resolve) => {
      let told = false;
      const target = `${this.#url.replace(/^http/, "ws")}/api/live`;
      // The door wants to know whose page asks: its own.
      const socket = new WebSocket(target, { headers: { Origin: this.#url } });
      this.#socket = socket;
      const late = setTimeout(() => socket.close(), FIRST_FRAME_MS);
      socket.onopen = () => socket.send(JSON.stringify({ watch: ["tree", "load", "planner"] }));
      socket.onmessage = ({ data }) => {
        const frame = frameIn(data);
        if (frame === undefined) return;
        if (frame["topic"] === "tree") {
          told = true;
          clearTimeout(late);
        }
        this.#take(frame);
      };
      socket.onerror = () => socket.close();
      socket.onclose = () => {
        clearTimeout(late);
        resolve(told);
      };
    });
  }

  #take(frame: Readonly<Record<string, unknown>>): void {
    const link = { kind: "live" } as const;
    if (frame["topic"] === "tree") this.#say({ link, rows: applyTree(this.#news.rows, frame) });
    if (frame["topic"] === "planner") {
      this.#say({ link, planner: plannerWords(frame) ?? this.#news.planner });
    }
    if (frame["topic"] === "load") {
      this.#say({ link, totals: readTotals(frame["point"]) ?? this.#news.totals });
    }
  }

  /** A whole tree; the rates are what was handled since the last one. Rejects with one line. */
  async #poll(): Promise<void> {
    const before = this.#news.rows;
    const began_ms = performance.now();
    const first = await askTree(this.#url);
    const totals = await askTotals(this.#url);
    const planner = await askPlanner(this.#url);
    const rows_before = before.size === 0 ? first : before;
    this.#say({ link: { kind: "polling" }, rows: rows_before, totals, planner });
    await Bun.sleep(LOOK_MS);
    const rows = await askTree(this.#url);
    this.#say({ rows: withRates(first, rows, performance.now() - began_ms) });
  }
}

function frameIn(data: unknown): Readonly<Record<string, unknown>> | undefined {
  try {
    const frame: unknown = JSON.parse(String(data));
    return typeof frame === "object" && frame !== null
      ? (frame as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}
