/** Answers of the inspector's door, and the headers that keep other sites' pages out of them. */

export function json(
  body: object,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return Response.json(body, { status, headers });
}

/** JSON that is a text already. */
export const written = (text: string): Response =>
  new Response(text, { headers: { "content-type": "application/json" } });

export const failed = (error: string, status: number): Response => json({ error }, status);

/**
 * On every answer: no guessing of types, no use by a page of another origin, nothing kept by caches
 * on the way. What an answer says for itself stays.
 */
const everywhere: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

export function guarded(response: Response): Response {
  for (const [name, value] of Object.entries(everywhere)) {
    if (!response.headers.has(name)) response.headers.set(name, value);
  }
  return response;
}

/**
 * Headers of an HTML page that has its scripts and styles inline and loads nothing.
 * @param scripts,styles the SHA-256 of each inline element's text, in base64
 */
export function pageHeaders(
  scripts: readonly string[],
  styles: readonly string[],
): Record<string, string> {
  const sources = (hashes: readonly string[]) =>
    hashes.length === 0 ? "'none'" : hashes.map((hash) => `'sha256-${hash}'`).join(" ");
  const policy = [
    "default-src 'none'",
    `script-src ${sources(scripts)}`,
    `style-src ${sources(styles)}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": policy.join("; "),
    "cross-origin-opener-policy": "same-origin",
  };
}
