/** Pieces of a report in one HTML file that needs nothing else: the page, its tables and texts. */

const style = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1340px; padding: 0 1rem;
    color: #1f2937; background: #fff }
  table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .25rem .75rem; text-align: right }
  th:first-child, td:first-child { text-align: left } thead { border-bottom: 2px solid #9ca3af }
  td.text, th.text { text-align: left } .wide { overflow-x: auto }
  tr + tr { border-top: 1px solid #e5e7eb } figure { margin: 0 } figcaption { font-weight: 600 }
  .plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); gap: 1rem }
  svg { display: block; width: 100%; height: auto } svg text { font-size: 12px } svg text:not([fill]) { fill: #4b5563 }
  pre { overflow-x: auto; background: #f3f4f6; padding: .75rem }
  @media (prefers-color-scheme: dark) { body { color: #e5e7eb; background: #111827 }
    svg text:not([fill]) { fill: #9ca3af } pre { background: #1f2937 } tr + tr { border-color: #374151 } }`;

/** Figures that follow each other share the width. */
function withPlots(parts: readonly string[]): string {
  const isFigure = (part: string | undefined) => part?.startsWith("<figure") === true;
  const drawn = parts.filter((part) => part !== "");
  return drawn
    .map((part, at) => {
      if (!isFigure(part)) return part;
      const begin = isFigure(drawn[at - 1]) ? "" : '<div class="plots">\n';
      return `${begin}${part}${isFigure(drawn[at + 1]) ? "" : "\n</div>"}`;
    })
    .join("\n");
}

/** The whole page; `parts` are HTML. */
export function page(title: string, parts: readonly string[]): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title><style>${style}</style></head>
<body><h1>${escaped(title)}</h1>
${withPlots(parts)}
</body></html>
`;
}

/** Figures stand at the right; columns in `texts`, by their index, and the first at the left. */
export function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  texts: readonly number[] = [],
): string {
  const line = (tag: string, cells: readonly string[]) =>
    `<tr>${cells
      .map((cell, at) => {
        const side = texts.includes(at) ? ' class="text"' : "";
        return `<${tag}${side}>${escaped(cell)}</${tag}>`;
      })
      .join("")}</tr>`;
  const body = rows.map((cells) => line("td", cells)).join("\n");
  const all = `<thead>${line("th", heads)}</thead><tbody>\n${body}\n</tbody>`;
  return `<div class="wide"><table>${all}</table></div>`;
}

export const heading = (text: string): string => `<h2>${escaped(text)}</h2>`;
export const paragraph = (text: string): string => `<p>${escaped(text)}</p>`;
export const preformatted = (text: string): string => `<pre>${escaped(text)}</pre>`;

const entities: Readonly<Record<string, string>> = {
  ...{ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" },
};

/** As text or in an attribute. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => entities[sign] ?? sign);
