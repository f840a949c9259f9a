/** One row of the tree. */
import { tree } from "../../data/tree.ts";
import type { VisibleRow } from "../../data/tree-model.ts";
import type { TreeRow } from "../../data/types.ts";
import { hrefOf } from "../../shell/route.ts";
import { Chip, State } from "../../ui/chip.tsx";
import { briefly, bytes, count, duration, nameOf, rate, titleOf } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { Sparkline } from "../../ui/sparkline.tsx";

export type Figure = {
  readonly title: string;
  readonly says: string;
  readonly text: (row: TreeRow) => string;
  /** Stands out. */
  readonly warns?: (row: TreeRow) => boolean;
};

/** The oldest message waits for so long: something is wrong, or about to be. */
const LATE_MS = 1_000;

export const figures: readonly Figure[] = [
  {
    title: "Mailbox",
    says: "Messages that wait",
    text: (row) => count(row.mailbox),
    warns: (row) => row.mailbox >= 100,
  },
  {
    title: "Oldest",
    says: "Age of the oldest message that waits",
    text: ({ oldest_ms = 0, mailbox }) => (mailbox === 0 ? "" : duration(oldest_ms)),
    warns: ({ oldest_ms = 0, mailbox }) => mailbox > 0 && oldest_ms >= LATE_MS,
  },
  { title: "msg/s", says: "Messages a second", text: (row) => rate(row.rate) },
  {
    title: "per msg",
    says: "Time of a message, what it awaits included; of the last ones, where none come now",
    text: (row) => (row.ms_per_message ? duration(row.ms_per_message) : ""),
  },
  {
    title: "Restarts",
    says: "How often it was started again",
    text: (row) => count(row.restarts),
    warns: (row) => row.restarts > 0,
  },
  {
    title: "Memory",
    says: "Resident memory of the process",
    text: (row) => (row.resident_bytes === undefined ? "" : bytes(row.resident_bytes)),
  },
];

/** Nothing to see there: such figures stand back. */
const isNothing = (text: string) => text === "0" || text === "";

type RowProps = {
  readonly item: VisibleRow;
  readonly index: number;
  readonly top_px: number;
  readonly isChosen: boolean;
  readonly flashes: boolean;
  readonly onChoose: (item: VisibleRow) => void;
  readonly onToggle: (item: VisibleRow) => void;
};

export function Row(props: RowProps) {
  const { item, index, top_px, isChosen, flashes, onChoose, onToggle } = props;
  const { row, level, nth, of, isOpen, isMatch, isMore } = item;
  const place = {
    id: `tree-row-${index}`,
    "aria-level": level,
    "aria-rowindex": index + 2,
    style: { transform: `translateY(${top_px}px)` },
  } as const;
  if (isMore !== undefined) {
    return (
      <div {...place} role="row" class="tree-row more">
        <span role="gridcell" class="tree-name" style={{ paddingLeft: `${indent_px(level)}px` }}>
          <Icon name="more" size={14} />
          {count(isMore)} more like these, less busy, are not listed
        </span>
      </div>
    );
  }
  const classes = ["tree-row", row.kind];
  if (isChosen) classes.push("chosen");
  if (flashes) classes.push("flash");
  if (!isMatch) classes.push("dim");
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid takes the keys
    <div
      {...place}
      role="row"
      class={classes.join(" ")}
      aria-setsize={of}
      aria-posinset={nth}
      aria-expanded={isOpen}
      aria-selected={isChosen}
      data-id={row.id}
      onClick={() => onChoose(item)}
    >
      <NameCell item={item} flashes={flashes} onToggle={onToggle} />
      <span role="gridcell" class="tree-state">
        <State state={row.state} />
      </span>
      {figures.map(({ title, text, warns }) => (
        <FigureCell key={title} title={title} text={text(row)} warns={warns?.(row) === true} />
      ))}
    </div>
  );
}

function FigureCell({ title, text, warns }: { title: string; text: string; warns: boolean }) {
  const look = warns ? " warns" : isNothing(text) ? " nothing" : "";
  return (
    <span role="gridcell" class={`tree-figure${look}`} data-title={title}>
      {text === "0" ? "·" : text}
    </span>
  );
}

const indent_px = (level: number) => 8 + (level - 1) * 16;

type NameProps = Pick<RowProps, "item" | "flashes" | "onToggle">;

function NameCell({ item, flashes, onToggle }: NameProps) {
  const { row, level, isOpen } = item;
  const name = nameOf(row.path);
  return (
    <span role="gridcell" class="tree-name" style={{ paddingLeft: `${indent_px(level)}px` }}>
      {isOpen === undefined ? (
        <i class="twist" />
      ) : (
        <button
          type="button"
          class="twist"
          tabIndex={-1}
          aria-label={isOpen ? `Close ${name}` : `Open ${name}`}
          onClick={(event) => {
            event.stopPropagation();
            onToggle(item);
          }}
        >
          <Icon name={isOpen ? "down" : "right"} size={12} />
        </button>
      )}
      <KindMark kind={row.kind} />
      <a href={hrefOf("actor", row.id)} tabIndex={-1}>
        {name}
      </a>
      {row.kind === "process" && row.pid > 0 && <Chip title="Process id">{row.pid}</Chip>}
      {showsRole(row, name) && <Chip title="Role">{row.role}</Chip>}
      {item.level === 1 && <Chip title="Node">{row.node ?? row.id.split("/")[0]}</Chip>}
      {flashes && <Chip tone="warn">↻ restarted</Chip>}
      {row.last_crash !== undefined && (
        <span class="tree-crash" title={`Last crash: ${row.last_crash}`}>
          ✕ {briefly(row.last_crash)}
        </span>
      )}
      {row.kind === "process" && <Sparkline values={tree.courseOf(row.id)} />}
    </span>
  );
}

/** A slot is called by its process's role: `decode-1`. */
const showsRole = ({ kind, path, role }: TreeRow, name: string): boolean =>
  kind === "process" ? !titleOf(path).startsWith(role) : role !== name;

const marks: Readonly<Record<TreeRow["kind"], readonly [shape: string, says: string]>> = {
  supervisor: ["M3 3h8v8H3z", "supervisor"],
  actor: ["M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9", "actor"],
  process: ["M1.5 3h11v8h-11zM1.5 5.6h11", "process"],
};

function KindMark({ kind }: { kind: TreeRow["kind"] }) {
  const [path, says] = marks[kind];
  return (
    <svg class={`kind ${kind}`} width="14" height="14" viewBox="0 0 14 14" role="img">
      <title>{says}</title>
      <path d={path} />
    </svg>
  );
}
