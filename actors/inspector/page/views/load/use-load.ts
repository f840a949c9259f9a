/** The last hour, and each point that comes then. */
import { useEffect, useReducer, useRef } from "preact/hooks";
import { useFrames, useWants } from "../../data/feed.ts";
import { getJson, type HttpError } from "../../data/http.ts";
import { atNextFrame } from "../../data/use-store.ts";
import { joined, type LoadAnswer, type LoadPoint, wholeHour, withPoint } from "./load-points.ts";

export type Load = {
  readonly points: readonly LoadPoint[];
  readonly loaded: boolean;
  readonly failure: string | undefined;
};

export function useLoad(): Load {
  const state = useRef<Load>({ points: [], loaded: false, failure: undefined });
  const [, draw] = useReducer((times: number, _: null) => times + 1, 0);
  const change = (next: Load) => {
    state.current = next;
    atNextFrame(() => draw(null));
  };
  useWants({ topics: ["load"] });
  useFrames("load", (frame) => {
    const { point } = frame as unknown as { readonly point?: LoadPoint };
    const points = withPoint(state.current.points, point);
    if (points !== state.current.points) change({ ...state.current, points });
  });
  useEffect(() => {
    getJson<LoadAnswer>("/api/load").then(
      (answer) => {
        const points = joined(wholeHour(answer), state.current.points);
        change({ points, loaded: true, failure: undefined });
      },
      ({ message }: HttpError) => change({ ...state.current, loaded: true, failure: message }),
    );
  }, []);
  return state.current;
}
