/** Lists of files are a few megabytes at most. */
const MAX_BYTES = 64 << 20;

/** A list's text, unpacked. Rejects when it goes on beyond any list's size. */
export async function bodyText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    // Leaving the loop hangs up.
    if (size > MAX_BYTES) throw new Error(`the answer has more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}
