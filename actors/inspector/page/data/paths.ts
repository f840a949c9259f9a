/** Paths of the inspector's routes. */

/** `/api/actors/ID`, with `behind` it. */
export const actorPath = (id: string, behind = ""): string =>
  `/api/actors/${encodeURIComponent(id)}${behind}`;
