/** The last hour, and each point that comes then. */
import { type Fed, type Feeding, useFed } from "../shared/use-fed.ts";
import { joined, type LoadAnswer, type LoadPoint, wholeHour, withPoint } from "./load-points.ts";

type Points = readonly LoadPoint[];

const feeding: Feeding<Points, LoadAnswer, { readonly point?: LoadPoint }> = {
  ...{ topic: "load", path: "/api/load", start: [] },
  answered: (live, answer) => joined(wholeHour(answer), live),
  framed: (points, { point }) => withPoint(points, point),
};

export const useLoad = (): Fed<Points> => useFed(feeding);
