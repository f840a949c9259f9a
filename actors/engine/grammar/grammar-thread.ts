/** The entry of a grammar thread, beside the event loop of its process. */
import { GrammarWork } from "./grammar-work.ts";
import type { FromThread, ToThread } from "./thread-messages.ts";

declare const self: {
  onmessage: (event: { readonly data: ToThread }) => void;
  postMessage(message: FromThread): void;
};

const work = new GrammarWork((message) => self.postMessage(message));
self.onmessage = ({ data }) => work.take(data);
