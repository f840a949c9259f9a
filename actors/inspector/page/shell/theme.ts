/** Light, dark, or as the reader's system is. */
import { Store } from "../data/store.ts";

const KEY = "troupe-theme";
const themes = ["auto", "light", "dark"] as const;

export type Theme = (typeof themes)[number];

function kept(): Theme {
  const found = localStorage.getItem(KEY);
  return themes.find((each) => each === found) ?? "auto";
}

export const theme = new Store<Theme>(kept());

export function applyTheme(): void {
  document.documentElement.dataset["theme"] = theme.value;
}

export function nextTheme(): void {
  const at = themes.indexOf(theme.value);
  const next = themes[(at + 1) % themes.length] ?? "auto";
  localStorage.setItem(KEY, next);
  theme.set(next);
  applyTheme();
}

/** Whether the page is dark now, whoever decided it. */
export function isDark(): boolean {
  if (theme.value !== "auto") return theme.value === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}
