/** What just happened, in a corner, for a few seconds; read out by screen readers. */
import { Store } from "../data/store.ts";
import { useStore } from "../data/use-store.ts";
import { Icon, type IconName } from "./icons.tsx";

export type Toast = {
  readonly tone: "good" | "bad" | "plain";
  readonly text: string;
  readonly action?: { readonly label: string; readonly run: () => void };
};

type Shown = Toast & { readonly id: number };

const shown = new Store<readonly Shown[]>([]);
const STAYS_MS = 6_000;
/** A failure is read more slowly. */
const FAILURE_STAYS_MS = 12_000;
const MOST = 4;
let last = 0;

export function toast(what: Toast): void {
  last += 1;
  const id = last;
  shown.update((all) => [...all, { ...what, id }].slice(-MOST));
  setTimeout(() => dismiss(id), what.tone === "bad" ? FAILURE_STAYS_MS : STAYS_MS);
}

const dismiss = (id: number) => shown.update((all) => all.filter((each) => each.id !== id));

const icons: Readonly<Record<Toast["tone"], IconName>> = {
  good: "check",
  bad: "warning",
  plain: "info",
};

export function Toasts() {
  const all = useStore(shown);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {all.map(({ id, tone, text, action }) => (
        <div key={id} class={`toast ${tone}`}>
          <Icon name={icons[tone]} />
          <span>{text}</span>
          {action && (
            <button
              type="button"
              class="button quiet"
              onClick={() => {
                dismiss(id);
                action.run();
              }}
            >
              {action.label}
            </button>
          )}
          <button
            type="button"
            class="button quiet bare"
            aria-label="Dismiss"
            onClick={() => dismiss(id)}
          >
            <Icon name="close" size={12} />
          </button>
        </div>
      ))}
    </div>
  );
}
