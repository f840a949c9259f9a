/** A request as a command that sends it again. Pure. */
import type { Arrival } from "./request-entry.ts";

/** Others may hold secrets, or are the client's own affair. */
const shownHeaders: readonly RegExp[] = [
  /^(content-type|accept|anthropic-version|anthropic-beta|openai-beta|x-resumable)$/,
  /^x-dynamo-[a-z-]+$/,
];
const keyHeaders = ["authorization", "x-api-key"] as const;

/** `body`: undefined where it is not kept. */
export function asCurl({ request, path }: Arrival, origin: string, body: object | undefined) {
  const parts = [`curl ${quoted(`${origin}${path}`)}`];
  if (request.method !== "POST" || body === undefined) parts[0] += ` -X ${request.method}`;
  for (const [name, value] of request.headers) {
    if (shownHeaders.some((shape) => shape.test(name)))
      parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  }
  // The shell fills the key in.
  const key = keyHeaders.find((name) => request.headers.has(name));
  if (key === "authorization") parts.push('-H "authorization: Bearer $API_KEY"');
  if (key === "x-api-key") parts.push('-H "x-api-key: $API_KEY"');
  if (body !== undefined) parts.push(`-d ${quoted(JSON.stringify(body))}`);
  return parts.join(" \\\n  ");
}

/** For a POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
