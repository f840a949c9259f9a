/** Keys that work everywhere, and the dialog that lists them. */
import { useEffect } from "preact/hooks";
import { Store } from "../data/store.ts";
import { useStore } from "../data/use-store.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Kbd } from "../ui/parts.tsx";
import { go } from "./route.ts";

const isOpen = new Store(false);

export const showKeys = (): void => isOpen.set(true);

const everywhere = [
  ["1 … 9", "the views, in their order"],
  ["/", "search"],
  ["?", "these keys"],
  ["Esc", "closes what is open, empties the search"],
] as const;

const inTree = [
  ["↑ ↓", "the row before, the next one"],
  ["→ ←", "opens and closes a branch; goes to its first child, to its parent"],
  ["Home End", "the first and the last row"],
  ["Enter", "the actor of the row"],
  ["* −", "opens and closes everything"],
] as const;

const inHistory = [
  ["← →", "the message before, the next one"],
  ["Home End", "the oldest and the newest one"],
] as const;

/** `views`: ids in the order of the navigation. */
export function useKeys(views: readonly string[]): void {
  const names = views.join();
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const { target, key } = event;
      const isTyping =
        target instanceof HTMLElement &&
        target.matches("input, textarea, select, [contenteditable]");
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      if (document.querySelector("dialog[open]") !== null) return;
      if (key === "?") showKeys();
      else if (key === "/") {
        const search = document.querySelector<HTMLInputElement>("[data-search]");
        if (search === null) return;
        event.preventDefault();
        search.focus();
        search.select();
      } else if (/^[1-9]$/.test(key)) {
        const view = names.split(",")[Number(key) - 1];
        if (view !== undefined) go(view);
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [names]);
}

type Keys = readonly (readonly [keys: string, does: string])[];

function List({ title, keys }: { title: string; keys: Keys }) {
  return (
    <section>
      <h3>{title}</h3>
      <dl class="keys">
        {keys.map(([key, does]) => (
          <div key={key}>
            <dt>
              {key.split(" ").map((each) => (each === "…" ? " … " : <Kbd key={each}>{each}</Kbd>))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

export function KeysDialog() {
  if (!useStore(isOpen)) return null;
  return (
    <Dialog title="Keys" onClose={() => isOpen.set(false)}>
      <List title="Everywhere" keys={everywhere} />
      <List title="In the tree" keys={inTree} />
      <List title="In an actor's history" keys={inHistory} />
    </Dialog>
  );
}
