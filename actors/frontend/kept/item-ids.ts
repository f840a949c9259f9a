/** The ids of items: they name the request that they belong to, so that the store finds them. */

const prefixes: Readonly<Record<string, string>> = {
  message: "msg",
  reasoning: "rs",
  function_call: "fc",
  function_call_output: "fco",
};

const prefixOf = (type: string): string => prefixes[type] ?? "item";

/** Of an answer's item; `request`: the server's id of the request. */
export const outputId = (type: string, request: string, index: number): string =>
  `${prefixOf(type)}_${request}_${index}`;

/** Of an item of the request itself. */
export const inputId = (type: string, request: string, index: number): string =>
  `${prefixOf(type)}_${request}_i${index}`;

/** undefined: it is no id of ours. */
export const requestOfItem = (id: string): string | undefined =>
  /^[a-z]+_([\w-]{22})_i?\d+$/.exec(id)?.[1];

/** Prefix of a response's id; the server's id of its request follows. */
export const RESPONSE_PREFIX = "resp_";
