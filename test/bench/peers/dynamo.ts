/** Dynamo's frontend with its KV router and four mockers, on loopback, without simulated delay. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, startPeer, untilReady } from "./child.ts";

export type Dynamo = {
  readonly url: string;
  readonly model: string;
  readonly frontend_pid: number;
  readonly mocker_pids: readonly number[];
  [Symbol.asyncDispose](): Promise<void>;
};

const ready_ms = 120_000;
const model = "qwen";

export async function startDynamo(options: {
  readonly python: string;
  readonly tokenizer: string;
  readonly router_mode: "kv" | "round-robin";
  /** Dynamo takes 0 for real time; this large a number is no delay. */
  readonly speedup_ratio?: number;
  /** In each of its processes. */
  readonly workers?: number;
  readonly mocker_processes?: number;
  readonly mocker_flags?: readonly string[];
  readonly frontend_flags?: readonly string[];
}): Promise<Dynamo> {
  const folder = mkdtempSync(join(tmpdir(), "dynamo-"));
  const log_file = join(folder, "log");
  const env = {
    DYN_FILE_KV: join(folder, "kv"),
    DYN_LOG: "error",
    DYN_SYSTEM_PORT: "-1",
    HF_HUB_OFFLINE: "1",
  };
  const planes = "--discovery-backend file --request-plane tcp --event-plane zmq".split(" ");
  const port = await freePort();
  const block_size = "64";
  const { python, tokenizer, workers = 4, speedup_ratio = 1_000_000 } = options;
  const mocker = () =>
    startPeer(
      [
        ...[python, "-m", "dynamo.mocker", "--model-path", tokenizer, "--model-name", model],
        ...["--num-workers", String(workers), "--block-size", block_size],
        ...["--speedup-ratio", String(speedup_ratio), ...planes, ...(options.mocker_flags ?? [])],
      ],
      { env, log_file },
    );
  const mockers = Array.from({ length: options.mocker_processes ?? 1 }, mocker);
  const frontend = startPeer(
    [
      ...[python, "-m", "dynamo.frontend", "--http-host", "127.0.0.1", "--http-port", String(port)],
      ...["--router-mode", options.router_mode, "--kv-cache-block-size", block_size, ...planes],
      ...(options.frontend_flags ?? []),
    ],
    { env, log_file },
  );
  const url = `http://127.0.0.1:${port}`;
  await untilReady("Dynamo", [...mockers, frontend], () => answers(url), ready_ms, log_file);
  return {
    url,
    model,
    frontend_pid: frontend.pid,
    mocker_pids: mockers.map(({ pid }) => pid),
    async [Symbol.asyncDispose]() {
      await Promise.all([frontend, ...mockers].map((peer) => peer.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** `/v1/models` is there before the workers are: only an answer shows that it serves. */
async function answers(url: string): Promise<boolean> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model,
      messages: [{ role: "user", content: "ready?" }],
      max_tokens: 1,
    }),
  });
  await response.text();
  return response.ok;
}
