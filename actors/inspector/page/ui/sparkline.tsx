/** The course of one figure, small; its latest value stands beside it in text. */

const WIDTH = 56;
const HEIGHT = 16;

export function Sparkline({ values }: { values: readonly number[] }) {
  const most = Math.max(...values, 0);
  if (values.length < 2 || most === 0) return <span class="sparkline" />;
  const step = WIDTH / (values.length - 1);
  const y = (value: number) => (HEIGHT - 1 - (value / most) * (HEIGHT - 2)).toFixed(1);
  const line = values.map((value, i) => `${(i * step).toFixed(1)} ${y(value)}`).join("L");
  return (
    <svg
      class="sparkline"
      width={WIDTH}
      height={HEIGHT}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      aria-hidden="true"
    >
      <path class="area" d={`M0 ${HEIGHT}L${line}L${WIDTH} ${HEIGHT}Z`} />
      <path class="line" d={`M${line}`} />
    </svg>
  );
}
