/** llama-server on loopback with eight slots and two threads. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, startPeer, untilReady } from "./child.ts";

export type LlamaServer = { readonly url: string; [Symbol.asyncDispose](): Promise<void> };

const ready_ms = 120_000;

export async function startLlamaServer(server: string, model: string): Promise<LlamaServer> {
  const folder = mkdtempSync(join(tmpdir(), "llama-server-"));
  const log_file = join(folder, "log");
  const port = await freePort();
  const place = ["--host", "127.0.0.1", "--port", String(port)];
  const size = ["-c", "8192", "-np", "8", "-t", "2"];
  const peer = startPeer([server, "-m", model, ...size, ...place], { log_file });
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
