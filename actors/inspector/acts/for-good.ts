/** Acts that nobody could take back over the inspector, and that are therefore not done. Pure. */

/** What answers people: without it nothing can be asked any more. */
export type Answering = {
  /** Path of the inspector of the actor's process. */
  readonly inspector: string;
  /** Path of the door, where it is in the same process. */
  readonly door: string | undefined;
};

const CLUSTER = "/cluster";

/** One line that says why, and what to do instead; undefined: it may be done. */
export function whyForGood(path: string, action: string, answering: Answering): string | undefined {
  const ends = action === "stop" || action === "kill";
  if (path === CLUSTER && ends) {
    return `${path} is the whole cluster: end it by Ctrl-C or SIGTERM, so that answers are finished`;
  }
  const isInspector = path === answering.inspector;
  if (isInspector && (action === "stop" || action === "suspend")) {
    return `${path} carries out what is asked of its process, and could not ${opposite(action)} itself`;
  }
  if (path === answering.door && action === "stop") {
    return `${path} is what answers here, and could not ${opposite(action)} itself`;
  }
  return undefined;
}

const opposite = (action: string) => (action === "stop" ? "restart" : "resume");
