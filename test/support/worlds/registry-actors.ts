/** Who registers and who follows, in tests of the registry. */
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { RegistryEntry } from "../../../runtime/registry/registry.ts";
import type { ViewMessage } from "../../../runtime/registry/registry-view.ts";

/** The owner of a name: it only has to be there. */
export class Idle extends Actor<Message> {
  override receive(): void {}
}

/** What it knew after each message, in the order of the keys. */
type SeenView = { readonly live: boolean; readonly entries: readonly RegistryEntry[] };

export class Follower extends Actor<ViewMessage> {
  readonly views: SeenView[] = [];
  readonly messages: ViewMessage[] = [];
  readonly #known = new Map<string, RegistryEntry>();
  override receive(message: ViewMessage): void {
    const { whole, put, removed, live } = message;
    this.messages.push(message);
    if (whole) this.#known.clear();
    for (const entry of put) this.#known.set(entry.key, entry);
    for (const key of removed) this.#known.delete(key);
    const entries = [...this.#known.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    this.views.push({ live, entries });
  }
  get keys(): string[] {
    return this.views.at(-1)?.entries.map(({ key }) => key) ?? [];
  }
  get live(): boolean | undefined {
    return this.views.at(-1)?.live;
  }
}
