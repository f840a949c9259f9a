/** What the server that sent the page says of it. */

export type PageConfig = {
  /** `chat`: this is the port of the OpenAI API, and only the chat is served. */
  readonly mode: "inspector" | "chat";
  /** Where the inspector is, for a link; null: none that is known. */
  readonly inspector: string | null;
};

function read(): PageConfig {
  const text = document.getElementById("troupe")?.textContent ?? "";
  try {
    return JSON.parse(text) as PageConfig;
  } catch {
    return { mode: "inspector", inspector: null };
  }
}

export const config: PageConfig = read();
