/** Streams in a process of its own, for another network: `far-client.ts URL COUNT TOKENS`. */
import { exchange } from "./exchange.ts";
import { bodyOf } from "./references.ts";

const [url = "", count = "1", tokens = "100"] = process.argv.slice(2);
let begun = 0;
for (let i = 0; i < Number(count); i += 1) {
  const wish = { prompt: `far ${i}`, seed: i, tokens: Number(tokens), choices: 1 };
  const body = JSON.stringify({ ...bodyOf(wish), stream: true });
  let first = true;
  exchange(url, { method: "POST", path: "/v1/chat/completions", body }, () => {
    if (first) begun += 1;
    first = false;
    if (begun === Number(count)) {
      begun = 0;
      console.log("begun");
    }
  });
}
