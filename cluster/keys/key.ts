/** `bun run key NAME`: draws a key, or reads one, and prints its entry for --api-key-file. */
import { randomBytes } from "node:crypto";
import { keyHash } from "../../actors/frontend/settings.ts";
import { checkKeys } from "../settings/key-settings.ts";

const HELP = `bun run key NAME [--stdin]

Prints a new key and its entry for the file of --api-key-file, which holds only the key's hash.
NAME: 1 to 64 letters, digits and ._- that do not begin with --.
--stdin: takes the key from standard input instead of drawing one.`;
const KEY_BYTES = 24;

const [name = "", ...rest] = process.argv.slice(2);
const reads = rest[0] === "--stdin";
const NAME = /^(?!--)[\w.-]{1,64}$/;
if (!NAME.test(name) || rest.length > (reads ? 1 : 0)) {
  console.error(HELP);
  process.exit(name === "--help" ? 0 : 2);
}
const key = reads
  ? (await Bun.stdin.text()).trim()
  : `sk-${randomBytes(KEY_BYTES).toString("hex")}`;
try {
  checkKeys([key], "standard input");
} catch (error) {
  console.error(`key: ${(error as Error).message}`);
  process.exit(2);
}
if (!reads) console.log(`# For the client, shown this once: ${key}`);
console.log(`- name: ${name}\n  key: sha256:${keyHash(key)}`);
