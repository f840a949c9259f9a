/** A text of a model as elements. Every word of it is a text node. */
import type { ComponentChildren } from "preact";
import { CopyButton } from "../../ui/button.tsx";
import { SEAM_MARK } from "./answer.ts";
import { type Block, type Inline, markdown } from "./markdown.ts";

export type MarkdownOptions = {
  /** What stands in the place of the nth mark of a seam. */
  readonly seam: (nth: number) => ComponentChildren;
};

export function Markdown({ text, seam }: { text: string } & MarkdownOptions) {
  // Elements are made in the order of the text, so the marks count themselves.
  let nth = 0;
  const next = () => {
    nth += 1;
    return seam(nth - 1);
  };
  return <div class="markdown">{blocks(markdown(text), next)}</div>;
}

type Next = () => ComponentChildren;

const blocks = (list: readonly Block[], next: Next): ComponentChildren =>
  list.map((block, at) => <Shown key={`${at}-${block.kind}`}>{blockOf(block, next)}</Shown>);

/** A key for what is made beside it. */
const Shown = ({ children }: { children: ComponentChildren }) => <>{children}</>;

function blockOf(block: Block, next: Next): ComponentChildren {
  switch (block.kind) {
    case "heading":
      return headingOf(block.level, inline(block.inside, next));
    case "paragraph":
      return <p>{inline(block.inside, next)}</p>;
    case "code":
      return (
        <div class="code-block">
          <header>
            <span>{block.language || "text"}</span>
            <CopyButton text={() => block.text.replaceAll(SEAM_MARK, "")} />
          </header>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keys */}
          <pre tabIndex={0}>
            <code>{plain(block.text, next)}</code>
          </pre>
        </div>
      );
    case "quote":
      return <blockquote>{blocks(block.inside, next)}</blockquote>;
    case "list":
      return listOf(block, next);
    case "table":
      return tableOf(block, next);
    case "rule":
      return <hr />;
  }
}

/** An answer stands below the page's own headings. */
function headingOf(level: number, inside: ComponentChildren): ComponentChildren {
  if (level <= 1) return <h3 class="level-1">{inside}</h3>;
  if (level === 2) return <h4>{inside}</h4>;
  return <h5>{inside}</h5>;
}

function listOf(block: Extract<Block, { kind: "list" }>, next: Next): ComponentChildren {
  const items = block.items.map((item, at) => {
    const [only] = item;
    // A line alone needs no paragraph of its own.
    const isLine = item.length === 1 && only?.kind === "paragraph";
    return <li key={at}>{isLine ? inline(only.inside, next) : blocks(item, next)}</li>;
  });
  if (block.start === undefined) return <ul>{items}</ul>;
  return <ol start={block.start}>{items}</ol>;
}

function tableOf(block: Extract<Block, { kind: "table" }>, next: Next): ComponentChildren {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <div class="table-box" tabIndex={0}>
      <table class="table">
        <thead>
          <tr>
            {block.head.map((cell, at) => (
              <th key={at} scope="col">
                {inline(cell, next)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {block.rows.map((row, at) => (
            <tr key={at}>
              {row.map((cell, column) => (
                <td key={column}>{inline(cell, next)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const inline = (list: readonly Inline[], next: Next): ComponentChildren =>
  list.map((each, at) => <Shown key={at}>{inlineElement(each, next)}</Shown>);

function inlineElement(each: Inline, next: Next): ComponentChildren {
  switch (each.kind) {
    case "text":
      return plain(each.text, next);
    case "code":
      return <code>{plain(each.text, next)}</code>;
    case "strong":
      return <strong>{inline(each.inside, next)}</strong>;
    case "em":
      return <em>{inline(each.inside, next)}</em>;
    case "link":
      return (
        <a href={each.href} target="_blank" rel="noreferrer noopener">
          {inline(each.inside, next)}
        </a>
      );
  }
}

/** A text with its seams. */
export function plain(text: string, next: Next): ComponentChildren {
  if (!text.includes(SEAM_MARK)) return text;
  return text
    .split(SEAM_MARK)
    .flatMap((part, at) => (at === 0 ? [part] : [<Shown key={at}>{next()}</Shown>, part]));
}
