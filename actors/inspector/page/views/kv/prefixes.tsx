/** The hottest prefixes as a tree: what many prompts begin with, and which workers have it. */
import { useState } from "preact/hooks";
import { Button } from "../../ui/button.tsx";
import { count } from "../../ui/format.ts";
import { Bar, Empty, Panel } from "../../ui/parts.tsx";
import type { PrefixPage } from "./kv-types.ts";
import { hottest, type PrefixLine, prefixLines } from "./prefix-tree.ts";

type PrefixesProps = {
  readonly page: PrefixPage | undefined;
  readonly failure: string | undefined;
};

export function Prefixes({ page, failure }: PrefixesProps) {
  const { nodes = [], models = [] } = page ?? {};
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const toggle = (hash: string) => {
    const next = new Set(closed);
    if (!next.delete(hash)) next.add(hash);
    setClosed(next);
  };
  const most = hottest(nodes);
  const lines = prefixLines(nodes, closed);
  return (
    <Panel title="Hottest prefixes" actions={<span class="soft">{lookedAt(models)}</span>}>
      {lines.length === 0 ? (
        <Empty icon="tree" title={failure === undefined ? "No prefix yet" : "No answer"}>
          {failure ??
            "Prompts that begin alike share whole blocks. Those that are found again show here."}
        </Empty>
      ) : (
        <ul class="prefixes" aria-label="Prefixes, the hottest first">
          {lines.map((line) => (
            <Line
              key={line.node.hash}
              line={line}
              most={most}
              open={!closed.has(line.node.hash)}
              onToggle={() => toggle(line.node.hash)}
            />
          ))}
        </ul>
      )}
    </Panel>
  );
}

const lookedAt = (models: NonNullable<PrefixPage["models"]>): string =>
  models
    .filter(({ prompts }) => prompts > 0)
    .map(({ model, prompts }) => `${model}: ${count(prompts)} ${plural(prompts, "prompt")}`)
    .join(", ");

const plural = (n: number, word: string): string => (n === 1 ? word : `${word}s`);

const blocksText = (blocks: number): string =>
  blocks === 1 ? "1 block" : `${count(blocks)} blocks`;

type LineProps = {
  readonly line: PrefixLine;
  readonly most: number;
  readonly open: boolean;
  readonly onToggle: () => void;
};

/** Deeper ones are not moved further to the right, or nothing of them would be seen. */
const DEEPEST = 12;

function Line({ line, most, open, onToggle }: LineProps) {
  const { node, depth, children, blocks } = line;
  const words = `prefix ${node.hash.slice(0, 8)}`;
  return (
    <li style={{ paddingLeft: `${12 + Math.min(depth, DEEPEST) * 16}px` }}>
      {children > 0 ? (
        <span class="toggle">
          <Button
            icon={open ? "down" : "right"}
            kind="quiet"
            label={`${open ? "Close" : "Open"} ${words}, ${children} below it`}
            onClick={onToggle}
          />
        </span>
      ) : (
        <span class="toggle" />
      )}
      <span class="mono" title={node.hash}>
        {node.hash.slice(0, 8)}
      </span>
      <Bar share={most === 0 ? 0 : node.hits / most} label={`${count(node.hits)} hits`} />
      <span class="hits">{`${count(node.hits)} ${plural(node.hits, "hit")}`}</span>
      <span class="soft">
        {depth === 0 ? blocksText(blocks) : `${count(node.blocks)} more, ${blocksText(blocks)}`}
      </span>
      {depth === 0 && node.model && <span class="soft">{node.model}</span>}
      <span class="soft where-kept">{node.workers.join(", ")}</span>
    </li>
  );
}
