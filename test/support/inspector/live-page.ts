/** A page of the inspector without a browser: it watches, and keeps what it was told. */

export type Frame = { readonly topic: string } & Readonly<Record<string, unknown>>;
export type Row = { readonly id: string } & Readonly<Record<string, unknown>>;
type Wish = {
  readonly watch?: readonly string[];
  readonly actor?: string;
  readonly request?: string;
};

export type LivePage = {
  /** The tree as it is known now. */
  readonly rows: ReadonlyMap<string, Row>;
  readonly frames: number;
  readonly bytes: number;
  readonly opened: Promise<void>;
  /** The code with which it was closed. */
  readonly closed: Promise<number>;
  /** The first frame of the topic, from now on, that fits. Rejects after `within_ms`. */
  until(
    topic: string,
    fits: (frame: Frame) => boolean,
    within_ms?: number,
  ): Promise<{ readonly frame: Frame }>;
  wish(wish: Wish): void;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  [Symbol.dispose](): void;
};

type Waiting = {
  readonly topic: string;
  readonly fits: (frame: Frame) => boolean;
  readonly done: (frame: Frame) => void;
};

/** `inspector`: http://HOST:PORT */
export function openPage(inspector: string, first: Wish): LivePage {
  const socket = new WebSocket(`${inspector.replace("http", "ws")}/api/live`);
  const rows = new Map<string, Row>();
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<number>();
  const waiting = new Set<Waiting>();
  const seen = { frames: 0, bytes: 0 };
  const wish = (of: Wish) =>
    socket.send(JSON.stringify({ watch: [], actor: null, request: null, ...of }));
  socket.onopen = () => {
    wish(first);
    opened.resolve();
  };
  socket.onclose = ({ code }) => closed.resolve(code);
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(String(data)) as Frame;
    seen.frames++;
    seen.bytes += String(data).length;
    if (frame.topic === "tree") takeTree(rows, frame);
    for (const one of waiting) {
      if (one.topic !== frame.topic || !one.fits(frame)) continue;
      waiting.delete(one);
      one.done(frame);
    }
  };
  return {
    rows,
    get frames() {
      return seen.frames;
    },
    get bytes() {
      return seen.bytes;
    },
    opened: opened.promise,
    closed: closed.promise,
    until(topic, fits, within_ms = 20_000) {
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => {
          waiting.delete(one);
          reject(new Error(`no frame of ${topic} that fits within ${within_ms} ms`));
        }, within_ms);
        const done = (frame: Frame) => {
          clearTimeout(late);
          resolve({ frame });
        };
        const one: Waiting = { topic, fits, done };
        waiting.add(one);
      });
    },
    wish,
    send: (data) => socket.send(data),
    [Symbol.dispose]: () => socket.close(),
  };
}

function takeTree(rows: Map<string, Row>, frame: Frame): void {
  const { full, nodes, gone } = frame as unknown as { full: boolean; nodes: Row[]; gone: string[] };
  if (full) rows.clear();
  for (const id of gone) rows.delete(id);
  for (const row of nodes) rows.set(row.id, row);
}
