/** Where routes are. Pure. */

export const STREAMS_PATH = "/v1/streams/{request}";

/**
 * The paths of all routes, as the tables have them, each once: settings are checked against them
 * without loading what answers. A unit test compares both.
 */
export const tablePaths: readonly string[] = [
  STREAMS_PATH,
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/inference/v1/generate",
  "/v1/messages",
  "/v1/messages/count_tokens",
  "/v1/responses",
  "/v1/responses/{id}",
  "/v1/responses/{id}/cancel",
  "/v1/responses/{id}/input_items",
  "/v1/responses/input_tokens",
  "/v1/conversations",
  "/v1/conversations/{id}",
  "/v1/conversations/{id}/items",
  "/v1/conversations/{id}/items/{item}",
  "/v1/rerank",
  "/rerank",
  "/v2/rerank",
  "/v1/score",
  "/score",
  "/v1/classify",
  "/classify",
  "/v1/pooling",
  "/pooling",
  "/v1/models",
  "/v1/models/{id}",
  "/v1/models/{id}/ready",
  "/tokenize",
  "/detokenize",
  "/tokenizer_info",
  "/v1/files",
  "/v1/files/{id}",
  "/v1/files/{id}/content",
  "/v1/batches",
  "/v1/batches/{id}",
  "/v1/batches/{id}/cancel",
  "/v1/load_lora_adapter",
  "/v1/unload_lora_adapter",
  "/clear_kv_blocks",
  "/busy_threshold",
  "/",
  "/health",
  "/live",
  "/metrics",
  "/openapi.json",
  "/docs",
];

/** Where an operator wants routes: their paths in the tables → theirs. */
export type Paths = Readonly<Record<string, string>>;

/** The path of a route that is `path` in its table; what stands below a path moves with it. */
export function placeOf(paths: Paths, path: string): string {
  for (const [from, to] of Object.entries(paths)) {
    if (path === from) return to;
    if (path.startsWith(`${from}/`)) return to + path.slice(from.length);
  }
  return path;
}
