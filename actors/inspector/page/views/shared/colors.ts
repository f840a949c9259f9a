/** Colours of the theme for what draws by itself, as charts on a canvas do. */

/** `--accent` → `rgb(…)`, as it is in the theme of now. */
export function colorOf(variable: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${variable})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
