/** JSON as a tree; with a second value it shows what is different, by signs and by colour. */
import { useState } from "preact/hooks";
import { type Change, type Diff, diffOf } from "../data/diff.ts";
import type { Json } from "../data/types.ts";
import { Icon } from "./icons.tsx";
import "./json-tree.css";

type JsonTreeProps = {
  readonly value: Json | undefined;
  /** What it was before; absent: nothing is compared. */
  readonly before?: Json | undefined;
  /** Only what is different, and the way to it. */
  readonly changesOnly?: boolean;
};

export function JsonTree({ value, before, changesOnly = false }: JsonTreeProps) {
  const diff = diffOf(before === undefined ? value : before, value);
  if (diff.inside === undefined) {
    return (
      <div class="json">
        <Leaf diff={diff} />
      </div>
    );
  }
  if (diff.inside.length === 0) return <p class="json-none">Nothing is in it.</p>;
  return (
    <ul class="json">
      {shownOf(diff.inside, changesOnly).map(([name, each]) => (
        <Node key={name} name={name} diff={each} depth={0} changesOnly={changesOnly} />
      ))}
    </ul>
  );
}

type Named = readonly (readonly [name: string, diff: Diff])[];

const shownOf = (inside: Named, changesOnly: boolean): Named =>
  changesOnly ? inside.filter(([, { change }]) => change !== "same") : inside;

/** So deep a tree is open at first. */
const OPEN_DEPTH = 2;
/** Longer lists are closed at first. */
const OPEN_ITEMS = 24;

const signs: Readonly<Record<Change, string>> = {
  same: "",
  holds: "",
  added: "+",
  removed: "−",
  changed: "~",
};

type NodeProps = {
  readonly name: string;
  readonly diff: Diff;
  readonly depth: number;
  readonly changesOnly: boolean;
};

function Node({ name, diff, depth, changesOnly }: NodeProps) {
  const inside = diff.inside ?? insideOf(diff);
  const [asked, setAsked] = useState<boolean>();
  const isSmall = depth < OPEN_DEPTH && (inside?.length ?? 0) <= OPEN_ITEMS;
  const isOpen = asked ?? (diff.change === "holds" || isSmall);
  if (inside === undefined || inside.length === 0) {
    return (
      <li class={`json-line ${diff.change}`}>
        <Sign change={diff.change} />
        <span class="json-name">{name}</span>
        <Leaf diff={diff} />
      </li>
    );
  }
  return (
    <li class={diff.change}>
      <button
        type="button"
        class={`json-line ${diff.change}`}
        aria-expanded={isOpen}
        onClick={() => setAsked(!isOpen)}
      >
        <Sign change={diff.change} />
        <Icon name={isOpen ? "down" : "right"} size={10} />
        <span class="json-name">{name}</span>
        <span class="json-size">{sizeOf(diff.after ?? diff.before)}</span>
      </button>
      {isOpen && (
        <ul>
          {shownOf(inside, changesOnly).map(([each, its]) => (
            <Node key={each} name={each} diff={its} depth={depth + 1} changesOnly={changesOnly} />
          ))}
        </ul>
      )}
    </li>
  );
}

function Sign({ change }: { change: Change }) {
  const sign = signs[change];
  return sign === "" ? (
    <i class="json-sign" />
  ) : (
    <i class="json-sign" role="img" aria-label={change}>
      {sign}
    </i>
  );
}

/** A group that came or went as a whole. */
function insideOf({ change, before, after }: Diff): Named | undefined {
  const whole = after ?? before;
  if (typeof whole !== "object" || whole === null || change === "changed") return undefined;
  return Object.entries(whole).map(([name, value]: [string, Json]) => [
    name,
    { change, before: value, after: value },
  ]);
}

function sizeOf(value: Json | undefined): string {
  if (Array.isArray(value)) return `[${value.length}]`;
  return `{${Object.keys(value ?? {}).length}}`;
}

function Leaf({ diff }: { diff: Diff }) {
  const { change, before, after } = diff;
  if (change !== "changed") return <Value value={after ?? before} />;
  return (
    <>
      <del>
        <Value value={before} />
      </del>
      <span aria-hidden="true"> → </span>
      <ins>
        <Value value={after} />
      </ins>
    </>
  );
}

const MOST_CHARS = 400;

function Value({ value }: { value: Json | undefined }) {
  const text = JSON.stringify(value) ?? "";
  const kind = value === null ? "null" : typeof value;
  const shown = text.length > MOST_CHARS ? `${text.slice(0, MOST_CHARS)}…` : text;
  return (
    <span class={`json-value ${kind}`} title={text.length > MOST_CHARS ? text : undefined}>
      {shown}
    </span>
  );
}
