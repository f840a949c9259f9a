/** llama-server on loopback with 32 slots that share one cache, and two threads. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, startPeer, untilReady } from "./child.ts";

export type LlamaServer = { readonly url: string; [Symbol.asyncDispose](): Promise<void> };

const ready_ms = 120_000;

/** As our engine in the same comparison: slots, tokens of the cache, threads. */
export const LLAMA_SERVER_FLAGS = ["-c", "32768", "-np", "32", "-t", "2"];

/** @param flags beside `common` */
export async function startLlamaServer(
  server: string,
  model: string,
  flags: readonly string[] = [],
  common: readonly string[] = LLAMA_SERVER_FLAGS,
): Promise<LlamaServer> {
  const folder = mkdtempSync(join(tmpdir(), "llama-server-"));
  const log_file = join(folder, "log");
  const port = await freePort();
  const place = ["--host", "127.0.0.1", "--port", String(port)];
  const command = [server, "-m", model, ...common, ...flags, ...place];
  const peer = startPeer(command, { log_file });
  const url = `http://127.0.0.1:${port}`;
  const healthy = async () => (await fetch(`${url}/health`)).ok;
  await untilReady("llama-server", [peer], healthy, ready_ms, log_file);
  return {
    url,
    async [Symbol.asyncDispose]() {
      await peer.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
