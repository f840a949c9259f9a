/** Requests as they are now: what the server knows when the view opens, and what changes then. */
import { useEffect, useReducer, useRef } from "preact/hooks";
import { useFrames, useWants } from "../../data/feed.ts";
import { getJson, type HttpError } from "../../data/http.ts";
import { atNextFrame } from "../../data/use-store.ts";
import { type Fed, type Feeding, useFed } from "../shared/use-fed.ts";
import { type Listed, withFrame } from "./request-list.ts";
import type { RequestPage, RequestRow, RequestsFrame } from "./request-row.ts";

const feeding: Feeding<Listed, { readonly requests: readonly RequestRow[] }, RequestsFrame> = {
  ...{ topic: "requests", path: "/api/requests", start: new Map() },
  answered: (live, { requests }) => {
    // A row of the feed is newer than what was asked for beside it.
    const asked = new Map(requests.map((row) => [row.id, row]));
    return withFrame(asked, { topic: "requests", rows: [...live.values()] });
  },
  framed: withFrame,
};

export const useRequests = (): Fed<Listed> => useFed(feeding);

export type OneRequest = {
  readonly page: RequestPage | undefined;
  readonly failure: { readonly status: number; readonly message: string } | undefined;
};

export function useRequest(id: string): OneRequest {
  const [, draw] = useReducer((count: number, _: null) => count + 1, 0);
  const state = useRef<(OneRequest & { readonly of: string }) | undefined>(undefined);
  if (state.current?.of !== id) {
    state.current = { of: id, page: undefined, failure: undefined };
  }
  useWants({ request: id });
  const take = (next: OneRequest) => {
    state.current = { of: id, ...next };
    atNextFrame(() => draw(null));
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
