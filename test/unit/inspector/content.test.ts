/** Where texts of clients are not to be shown, no way of looking shows them. */
import { expect, test } from "bun:test";
import { pageWithoutContent, withoutContent } from "../../../actors/inspector/without-content.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { startDoorSystem } from "../../support/inspector/door-system.ts";
import { openPage } from "../../support/inspector/live-page.ts";

test("names and numbers of a message stay, texts, tokens and bytes are their length", () => {
  const message = {
    ...{ kind: "generate", model: "org/tiny-1", request: "K_j-1", deadline_ms: 5, alone: false },
    consumer: { node: "n", path: "/a", incarnation: "(8 bytes 0011…)" },
    prompt: [3066, 1580, "…"],
    tokens: [7],
    text: "my private text",
    stop: ["the end", "x"],
    none: [],
  };
  expect(withoutContent(message)).toEqual({
    ...{ kind: "generate", model: "org/tiny-1", request: "K_j-1", deadline_ms: 5, alone: false },
    consumer: { node: "n", path: "/a", incarnation: "(8 bytes)" },
    prompt: "(2 numbers…)",
    tokens: "(1 numbers)",
    text: "(15 characters)",
    stop: ["(7 characters)", "x"],
    none: [],
  });
  expect(Object.keys(withoutContent(JSON.parse('{"__proto__":1}')) as object)).toEqual([
    "__proto__",
  ]);
});

test("a request's page that another machine's frontend wrote has no texts either", () => {
  const curl = "curl 'http://x/v1/completions' \\\n  -H 'a: b' \\\n  -d '{\"prompt\":\"p -d q\"}'";
  expect(pageWithoutContent({ id: "r", text: "private", curl })).toEqual({
    ...{ id: "r", text: "" },
    curl: "curl 'http://x/v1/completions' \\\n  -H 'a: b'",
  });
});

class Quiet extends Actor<Message> {
  receive(): void {}
}

test("a watched actor's messages come without their texts", async () => {
  await using door = await startDoorSystem({ shows_content: false });
  const ref: Ref<Message> = door.system.spawn(() => new Quiet(), { name: "a" });
  using page = openPage(door.url, { actor: "root/a" });
  await page.until("actor", () => true);
  ref.tell({ kind: "say", text: "my private text", prompt: [1, 2, 3] } as Message);
  const { frame } = await page.until("actor", ({ entries }) => (entries as []).length > 0);
  const message = { kind: "say", text: "(15 characters)", prompt: "(3 numbers)" };
  expect(frame["entries"]).toMatchObject([{ message }]);
  const asked = await fetch(`${door.url}/api/actors/root%2Fa`);
  expect(await asked.json()).toMatchObject({ entries: [{ message }] });
});
