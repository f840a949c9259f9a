/** The rows of the tree: only those on the screen are drawn, and the keys move between all. */
import { useEffect } from "preact/hooks";
import type { TreeModel, VisibleRow } from "../../data/tree-model.ts";
import { go } from "../../shell/route.ts";
import { figures, Row } from "./tree-row.tsx";
import { useNarrow, useVirtual } from "./virtual.ts";

const ROW_PX = 28;
const NARROW_ROW_PX = 52;
const PAGE_ROWS = 15;

type GridProps = {
  readonly model: TreeModel;
  readonly rows: readonly VisibleRow[];
  readonly chosen: string | undefined;
  readonly onChoose: (id: string) => void;
  /** Branches were opened or closed. */
  readonly onTurn: () => void;
};

export function TreeGrid({ model, rows, chosen, onChoose, onTurn }: GridProps) {
  const row_px = useNarrow() ? NARROW_ROW_PX : ROW_PX;
  const { box, window, show } = useVirtual(rows.length, row_px);
  const at = rows.findIndex(({ row, isMore }) => row.id === chosen && isMore === undefined);
  useEffect(() => {
    if (at >= 0) show(at);
  }, [chosen]);
  const toggle = ({ row, isOpen }: VisibleRow) => {
    model.setOpen(row.id, isOpen !== true);
    onTurn();
  };
  const now_ms = performance.now();
  const pressed = (event: KeyboardEvent) => {
    const done = keyed(event.key, { rows, at, model, choose: onChoose, toggle, turned: onTurn });
    if (done) event.preventDefault();
  };
  return (
    <div class="panel tree-panel">
      <div
        class="tree-grid"
        role="treegrid"
        aria-label="Supervision tree"
        aria-rowcount={rows.length + 1}
        aria-activedescendant={at >= 0 ? `tree-row-${at}` : undefined}
        tabIndex={0}
        onKeyDown={pressed}
      >
        <Head />
        <div ref={box} class="tree-scroll" role="rowgroup">
          <div
            class="tree-space"
            role="presentation"
            style={{ height: `${rows.length * row_px}px` }}
          >
            {rows.slice(window.first, window.last).map((item, i) => {
              const index = window.first + i;
              return (
                <Row
                  key={item.isMore === undefined ? item.row.id : `${item.row.id} more`}
                  item={item}
                  index={index}
                  top_px={index * row_px}
                  isChosen={index === at}
                  flashes={model.flashes(item.row.id, now_ms)}
                  onChoose={({ row }) => onChoose(row.id)}
                  onToggle={toggle}
                />
              );
            })}
          </div>
          {rows.length === 0 && <p class="tree-nothing">Nothing in the tree is like that.</p>}
        </div>
      </div>
    </div>
  );
}

function Head() {
  return (
    <div role="rowgroup">
      <div class="tree-row head" role="row" aria-rowindex={1}>
        <span role="columnheader" class="tree-name">
          Actor
        </span>
        <span role="columnheader">State</span>
        {figures.map(({ title, says }) => (
          <span key={title} role="columnheader" class="tree-figure" title={says}>
            {title}
          </span>
        ))}
      </div>
    </div>
  );
}

type Keyed = {
  readonly rows: readonly VisibleRow[];
  readonly at: number;
  readonly model: TreeModel;
  readonly choose: (id: string) => void;
  readonly toggle: (row: VisibleRow) => void;
  readonly turned: () => void;
};

/** The keys of a tree, as WAI-ARIA has them. True: the key was one. */
function keyed(key: string, { rows, at, model, choose, toggle, turned }: Keyed): boolean {
  const current = rows[at];
  const move = (to: number) => {
    const next = rows[Math.min(rows.length - 1, Math.max(0, to))];
    if (next !== undefined) choose(next.row.id);
    return true;
  };
  switch (key) {
    case "ArrowDown":
      return move(next(rows, at, 1));
    case "ArrowUp":
      return move(next(rows, at, -1));
    case "PageDown":
      return move(at + PAGE_ROWS);
    case "PageUp":
      return move(at - PAGE_ROWS);
    case "Home":
      return move(0);
    case "End":
      return move(rows.length - 1);
    case "ArrowRight":
      if (current?.isOpen === false) toggle(current);
      else if (current?.isOpen === true) move(at + 1);
      return true;
    case "ArrowLeft":
      if (current?.isOpen === true) toggle(current);
      else if (current?.parent !== undefined) choose(current.parent);
      return true;
    case "Enter":
      if (current !== undefined) go("actor", current.row.id);
      return true;
    case "*":
    case "-":
      model.setAll(key === "*");
      turned();
      return true;
    default:
      return false;
  }
}

/** Rows that only say how many more there are cannot be chosen. */
function next(rows: readonly VisibleRow[], at: number, by: number): number {
  let to = at + by;
  while (rows[to]?.isMore !== undefined) to += by;
  return Math.max(0, to);
}
