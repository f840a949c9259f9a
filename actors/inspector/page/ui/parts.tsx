/** What views are made of: panels, empty states, figures, fields, tables. */
import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icons.tsx";

type Children = { readonly children?: ComponentChildren };

type PanelProps = Children & {
  readonly title: ComponentChildren;
  readonly actions?: ComponentChildren;
  readonly class?: string;
};

export function Panel({ title, actions, children, class: more = "" }: PanelProps) {
  return (
    <section class={`panel ${more}`}>
      <header>
        <h2>{title}</h2>
        {actions && <div class="panel-actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

type EmptyProps = Children & { readonly icon: IconName; readonly title: string };

/** Nothing to show, and what the reader can do about it. */
export function Empty({ icon, title, children }: EmptyProps) {
  return (
    <div class="empty">
      <Icon name={icon} size={28} />
      <h3>{title}</h3>
      <p>{children}</p>
    </div>
  );
}

export type StatProps = {
  readonly label: string;
  /** Said when a pointer rests on it. */
  readonly says?: string;
  readonly value: ComponentChildren;
  readonly note?: ComponentChildren;
  readonly tone?: "warn" | "bad" | undefined;
};

export function Stat({ label, says, value, note, tone }: StatProps) {
  return (
    <div class={`stat ${tone ?? ""}`} title={says}>
      <dt>{label}</dt>
      <dd>{value}</dd>
      {note !== undefined && <dd class="note">{note}</dd>}
    </div>
  );
}

export function Stats({ children }: Children) {
  return <dl class="stats">{children}</dl>;
}

type FieldProps = Children & { readonly label: string; readonly note?: ComponentChildren };

/** A labelled control. */
export function Field({ label, note, children }: FieldProps) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is its child
    <label class="field">
      <span>{label}</span>
      {children}
      {note !== undefined && <small>{note}</small>}
    </label>
  );
}

type SelectProps = {
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, text: string])[];
  readonly onChange: (value: string) => void;
};

export function Select({ label, value, options, onChange }: SelectProps) {
  return (
    <select
      class="select"
      aria-label={label}
      title={label}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
    >
      {options.map(([each, text]) => (
        <option key={each} value={each}>
          {text}
        </option>
      ))}
    </select>
  );
}

export type Column<Row> = {
  readonly title: string;
  /** Said when a pointer rests on the title. */
  readonly says?: string | undefined;
  readonly cell: (row: Row) => ComponentChildren;
  /** Figures stand at the right. */
  readonly figure?: boolean;
};

type TableProps<Row> = {
  /** Read out, not shown. */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
};

export function Table<Row>({ label, columns, rows, keyOf }: TableProps<Row>) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <section class="table-box" aria-label={label} tabIndex={0}>
      <table class="table">
        <thead>
          <tr>
            {columns.map(({ title, says, figure }) => (
              <th key={title} scope="col" class={figure ? "figure" : ""} title={says}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ title, cell, figure }) => (
                <td key={title} class={figure ? "figure" : ""}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** A share of something, as a bar and in words for screen readers. */
export function Bar({ share, label }: { share: number; label: string }) {
  const width = `${Math.min(100, Math.max(0, share * 100))}%`;
  return (
    <span class="bar" role="img" aria-label={label} title={label}>
      <i style={{ width }} />
    </span>
  );
}

export function Kbd({ children }: Children) {
  return <kbd>{children}</kbd>;
}
