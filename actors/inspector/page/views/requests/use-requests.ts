/** Requests as they are now: what the server knows when the view opens, and what changes then. */
import { useEffect, useReducer, useRef } from "preact/hooks";
import { useFrames, useWants } from "../../data/feed.ts";
import { getJson, type HttpError } from "../../data/http.ts";
import { atNextFrame } from "../../data/use-store.ts";
import { type Listed, withFrame } from "./request-list.ts";
import type { RequestPage, RequestRow, RequestsFrame } from "./request-row.ts";

const useDraw = (): (() => void) => {
  const [, draw] = useReducer((count: number, _: null) => count + 1, 0);
  return () => atNextFrame(() => draw(null));
};

export type Requests = {
  readonly rows: Listed;
  /** False until the server has answered once. */
  readonly loaded: boolean;
  /** A line; undefined: all is well. */
  readonly failure: string | undefined;
};

export function useRequests(): Requests {
  const draw = useDraw();
  const state = useRef<Requests>({ rows: new Map(), loaded: false, failure: undefined });
  useWants({ topics: ["requests"] });
  useFrames("requests", (frame) => {
    const rows = withFrame(state.current.rows, frame as unknown as RequestsFrame);
    state.current = { rows, loaded: true, failure: undefined };
    draw();
  });
  useEffect(() => {
    getJson<{ requests: readonly RequestRow[] }>("/api/requests").then(
      ({ requests }) => {
        // A row of the feed is newer than what was asked for beside it.
        const asked = new Map(requests.map((row) => [row.id, row]));
        const rows = withFrame(asked, {
          topic: "requests",
          rows: [...state.current.rows.values()],
        });
        state.current = { rows, loaded: true, failure: undefined };
        draw();
      },
      (error: HttpError) => {
        if (state.current.loaded) return;
        state.current = { ...state.current, loaded: true, failure: error.message };
        draw();
      },
    );
  }, []);
  return state.current;
}

export type OneRequest = {
  readonly page: RequestPage | undefined;
  readonly failure: { readonly status: number; readonly message: string } | undefined;
};

export function useRequest(id: string): OneRequest {
  const draw = useDraw();
  const state = useRef<(OneRequest & { readonly of: string }) | undefined>(undefined);
  if (state.current?.of !== id) {
    state.current = { of: id, page: undefined, failure: undefined };
  }
  useWants({ request: id });
  const take = (next: OneRequest) => {
    state.current = { of: id, ...next };
    draw();
  };
  useFrames("request", (frame) => {
    const page = frame as unknown as RequestPage;
    if (page.id === id && page.spans !== undefined) take({ page, failure: undefined });
  });
  useEffect(() => {
    let isLeft = false;
    getJson<RequestPage>(`/api/requests/${encodeURIComponent(id)}`).then(
      (page) => {
        if (!isLeft && state.current?.page === undefined) take({ page, failure: undefined });
      },
      (error: HttpError) => {
        const { status, message } = error;
        if (!isLeft && state.current?.page === undefined) {
          take({ page: undefined, failure: { status, message } });
        }
      },
    );
    return () => {
      isLeft = true;
    };
  }, [id]);
  return state.current;
}
