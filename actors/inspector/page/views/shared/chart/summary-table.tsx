/** A chart's legend, which says its lines in figures: for readers of both. */
import { type Line, type Series, summaryOf } from "./series.ts";

type SummaryProps = {
  readonly title: string;
  readonly series: Series;
  readonly format: (value: number) => string;
};

export function SummaryTable({ title, series, format }: SummaryProps) {
  const cell = (value: number | null) => (value === null ? "–" : format(value));
  return (
    <>
      <table class="summary">
        <caption class="visually-hidden">{title}: each line in figures</caption>
        <thead>
          <tr>
            <th scope="col">
              <span class="visually-hidden">Line</span>
            </th>
            {["now", "min", "mean", "max"].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {series.lines.map((line) => {
            const { label, now, least, mean, most } = summaryOf(line);
            return (
              <tr key={label}>
                <th scope="row">
                  <Key line={line} />
                  {label}
                </th>
                <td>{cell(now)}</td>
                <td>{cell(least)}</td>
                <td>{cell(mean)}</td>
                <td>{cell(most)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {series.left_out > 0 && (
        <p class="soft">{`The busiest are drawn; ${series.left_out} more are not.`}</p>
      )}
    </>
  );
}

/** As the line is drawn. */
function Key({ line }: { line: Line }) {
  return (
    <svg class={`key series-${line.color + 1}`} width="18" height="8" aria-hidden="true">
      <path d="M0 4h18" stroke-dasharray={line.second ? "4 3" : undefined} />
    </svg>
  );
}
