/** The map of one tier's slots on a canvas; a line of text says the same. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useStore } from "../../data/use-store.ts";
import { theme } from "../../shell/theme.ts";
import { count } from "../../ui/format.ts";
import { colorOf } from "../shared/colors.ts";
import { useDark } from "../shared/use-dark.ts";
import { useWidth } from "../shared/use-width.ts";
import {
  type CellState,
  cellAt,
  cellStates,
  cellsOf,
  cellWords,
  countsOf,
  type Grid,
  gridOf,
  mapWords,
  slotsOf,
} from "./block-map.ts";

const colors: Readonly<Record<CellState, string>> = {
  free: "--sunken",
  partial: "--series-2",
  complete: "--series-1",
  pinned: "--series-3",
};

type BlockMapProps = {
  readonly title: string;
  readonly slots: number;
  readonly used: number;
  readonly cells: string;
};

export function BlockMap({ title, slots, used, cells: base64 }: BlockMapProps) {
  const cells = useMemo(() => cellsOf(base64), [base64]);
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(box);
  const shade = `${useStore(theme)} ${useDark()}`;
  const [pointed, point] = useState<number>();
  const grid = gridOf(cells.length, Math.max(1, width));
  useEffect(() => {
    if (canvas.current !== null && width > 0) draw(canvas.current, cells, grid);
  }, [cells, width, shade]);
  const counts = countsOf(cells);
  const state = pointed === undefined ? undefined : cellStates[cells[pointed] ?? 0];
  return (
    <figure class="block-map">
      <figcaption>
        <strong>{title}</strong>
        <span class="soft">{`${count(used)} of ${count(slots)} slots used`}</span>
      </figcaption>
      <div ref={box}>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${title}: ${mapWords(cells, slots)}`}
          style={
            width === 0
              ? { display: "none" }
              : { width: `${grid.columns * grid.pitch}px`, height: `${grid.rows * grid.pitch}px` }
          }
          onPointerMove={({ offsetX, offsetY }) =>
            point(cellAt(grid, cells.length, offsetX, offsetY))
          }
          onPointerLeave={() => point(undefined)}
        />
      </div>
      <p class="legend">
        {cellStates.map((each) => (
          <span key={each} class={each === state ? "pointed" : ""}>
            <i class={`swatch ${each}`} aria-hidden="true" />
            {`${cellWords[each]} ${count(counts[each])}`}
          </span>
        ))}
        <span class="soft">
          {pointed === undefined ? "" : slotsOf(pointed, cells.length, slots)}
        </span>
      </p>
    </figure>
  );
}

function draw(canvas: HTMLCanvasElement, cells: Uint8Array, grid: Grid): void {
  const scale = devicePixelRatio;
  const { columns, rows, pitch, gap } = grid;
  canvas.width = Math.round(columns * pitch * scale);
  canvas.height = Math.round(rows * pitch * scale);
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.scale(scale, scale);
  const side = pitch - gap;
  for (const [code, state] of cellStates.entries()) {
    context.fillStyle = colorOf(colors[state]);
    for (let at = 0; at < cells.length; at += 1) {
      if ((cells[at] ?? 0) !== code) continue;
      const x = (at % columns) * pitch;
      const y = Math.floor(at / columns) * pitch;
      context.fillRect(x, y, side, side);
    }
  }
}
