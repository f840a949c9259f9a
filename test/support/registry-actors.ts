/** Who registers and who follows, in tests of the registry. */
import { Actor } from "../../runtime/actor.ts";
import type { Message } from "../../runtime/message.ts";
import type { ViewMessage } from "../../runtime/registry-view.ts";

/** The owner of a name: it only has to be there. */
export class Idle extends Actor<Message> {
  override receive(): void {}
}

export class Follower extends Actor<ViewMessage> {
  readonly views: ViewMessage[] = [];
  override receive(message: ViewMessage): void {
    this.views.push(message);
  }
  get keys(): string[] {
    return this.views.at(-1)?.entries.map(({ key }) => key) ?? [];
  }
  get live(): boolean | undefined {
    return this.views.at(-1)?.live;
  }
}
