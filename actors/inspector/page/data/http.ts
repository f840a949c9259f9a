/** Requests to this page's own server. */
import { token } from "./token.ts";
import type { Method } from "./types.ts";

/** The message is a line for a person. */
export class HttpError extends Error {
  /** 0: no answer came. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const ANSWER_MS = 10_000;
/** A worker that is added has to load its model, one that is removed to finish its answers. */
const ACT_MS = 300_000;

/** Rejects with HttpError. */
export async function getJson<T>(path: string): Promise<T> {
  return (await (await ask("GET", path)).json()) as T;
}

/** Rejects with HttpError. */
export async function getText(path: string): Promise<string> {
  return (await ask("GET", path)).text();
}

/** Changes something. Rejects with HttpError. */
export async function send<T>(method: Method, path: string, body?: unknown): Promise<T> {
  const text = await (await ask(method, path, body)).text();
  return (text === "" ? {} : JSON.parse(text)) as T;
}

export const post = <T>(path: string, body?: unknown): Promise<T> => send<T>("POST", path, body);

async function ask(method: Method, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (token.value !== "") headers["authorization"] = `Bearer ${token.value}`;
  if (body !== undefined && body !== null) headers["content-type"] = "application/json";
  const signal = AbortSignal.timeout(method === "GET" ? ANSWER_MS : ACT_MS);
  const sent = headers["content-type"] === undefined ? {} : { body: JSON.stringify(body) };
  let response: Response;
  try {
    response = await fetch(path, { method, headers, signal, ...sent });
  } catch (error) {
    throw new HttpError(0, `The server does not answer (${(error as Error).message})`);
  }
  if (!response.ok) throw new HttpError(response.status, await reasonOf(response));
  return response;
}

/** `{"error": "…"}` or `{"error": {"message": "…"}}`. */
async function reasonOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text) as { error?: string | { message?: string } };
    const said = typeof error === "string" ? error : error?.message;
    if (said !== undefined) return said;
  } catch {
    // Not JSON: the status has to do.
  }
  return `The server answered ${response.status} ${response.statusText}`.trim();
}
