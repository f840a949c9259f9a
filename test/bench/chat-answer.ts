/** The request of the timings at c=1: about 100 tokens in, so many out. */
import type { Answer, HttpClient } from "./http-client.ts";

/** `name` makes the prompt one of its own. Throws when the answer is not whole. */
export async function chatAnswer(
  client: HttpClient,
  {
    model,
    name,
    tokens,
  }: { readonly model: string; readonly name: string; readonly tokens: number },
): Promise<Answer> {
  const content = `${name}: ${"what is a mailbox in an actor system, please? ".repeat(8)}`;
  const answer = await client.post("/v1/chat/completions", {
    model,
    messages: [{ role: "user", content }],
    max_tokens: tokens,
    ignore_eos: true,
  });
  if (answer.status !== 200 || answer.completion_tokens !== tokens) {
    throw new Error(`${name}: ${JSON.stringify(answer)}`);
  }
  return answer;
}
