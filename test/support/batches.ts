/** Batches as a client without a library has them: for tests of faults, and for benches. */
import type { Batch } from "openai/resources/batches";
import { type Cluster, until } from "./cluster.ts";

const json = async <T>(response: Response): Promise<T> => {
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
};

/** The id of a file with these lines. */
export async function uploadLines(url: string, lines: readonly string[]): Promise<string> {
  const form = new FormData();
  form.append("purpose", "batch");
  form.append("file", new File([lines.join("\n")], "lines.jsonl"));
  const sent = await fetch(`${url}/v1/files`, { method: "POST", body: form });
  return (await json<{ id: string }>(sent)).id;
}

/** The id of a batch of chats. */
export async function makeBatch(url: string, input_file_id: string): Promise<string> {
  const made = await fetch(`${url}/v1/batches`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ input_file_id, endpoint: "/v1/chat/completions" },
      completion_window: "24h",
    }),
  });
  return (await json<Batch>(made)).id;
}

export const startBatch = async (url: string, lines: readonly string[]): Promise<string> =>
  makeBatch(url, await uploadLines(url, lines));

/** Asked again while frontends come and go. */
async function look(url: string, id: string): Promise<Batch> {
  for (let tries = 0; ; tries += 1) {
    try {
      const headers = { connection: "close" };
      return await json<Batch>(await fetch(`${url}/v1/batches/${id}`, { headers }));
    } catch (error) {
      if (tries >= 100) throw error;
      await Bun.sleep(50);
    }
  }
}

export async function linesAnswered(url: string, id: string): Promise<number> {
  const { completed = 0, failed = 0 } = (await look(url, id)).request_counts ?? {};
  return completed + failed;
}

export async function endOf(url: string, id: string, timeout_ms = 120_000): Promise<Batch> {
  let batch = await look(url, id);
  await until(`batch ${id} is over`, timeout_ms, async () => {
    batch = await look(url, id);
    return !["validating", "in_progress", "finalizing", "cancelling"].includes(batch.status);
  });
  return batch;
}

/** A batch that is over, and how often each custom_id is in its two files. */
export async function batchOf(url: string, id: string) {
  const batch = await look(url, id);
  const counts = new Map<string, number>();
  const statuses = new Map<number, number>();
  for (const file of [batch.output_file_id, batch.error_file_id]) {
    if (!file) continue;
    const text = await (await fetch(`${url}/v1/files/${file}/content`)).text();
    for (const line of text.trim().split("\n")) {
      const { custom_id, response } = JSON.parse(line) as {
        custom_id: string;
        response: { status_code: number } | null;
      };
      counts.set(custom_id, (counts.get(custom_id) ?? 0) + 1);
      const status = response?.status_code ?? 0;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  }
  return { batch, counts, statuses };
}

/** The node of the frontend that runs batches; waits for one. */
export async function runnerOf(cluster: Cluster): Promise<string> {
  let node: string | undefined;
  await until("a frontend runs batches", 20_000, async () => {
    const text = await (await fetch(`${cluster.inspector}/metrics`)).text();
    const line = text
      .split("\n")
      .find((each) => /^troupe_batches\{.*status="in_progress".*\} [1-9]/.test(each));
    node = /node="([^"]+)"/.exec(line ?? "")?.[1];
    return node !== undefined;
  });
  return node ?? "";
}
