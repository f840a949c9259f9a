/**
 * Reads the keys file again when it changes. A file that is not right leaves the keys as they are,
 * with one line in the log.
 */
import { errorText } from "../../../runtime/error-text.ts";
import { FileWatch } from "../../../runtime/file-watch.ts";
import { Actor, type Snapshot } from "../../../runtime/kernel/actor.ts";
import type { Access } from "./access.ts";
import type { KeyRule } from "./key-rule.ts";

export type KeyFileOptions = {
  readonly path: string;
  readonly access: Access;
  /** Rejects with an Error of one line that names the place. */
  readonly parse: (text: string, path: string) => Promise<readonly KeyRule[]>;
};

type KeyFileMessage = { readonly kind: "look" };

const LOOK_MS = 1_000;
/** Rules of 4,096 keys are much smaller. */
const FILE_MOST_BYTES = 16 * 1024 * 1024;

export class KeyFileActor extends Actor<KeyFileMessage> {
  readonly #options: KeyFileOptions;
  /** The rules that hold, as text. */
  #rules = "";
  #reads = 0;
  #wrong = "";
  #looking = false;

  constructor(options: KeyFileOptions) {
    super();
    this.#options = options;
  }

  #watch: FileWatch | undefined;

  override async init(): Promise<void> {
    this.#watch = new FileWatch(this.ctx.capabilities.files, [this.#options.path]);
    await this.#look();
    this.ctx.every(LOOK_MS, { kind: "look" });
  }

  override receive(): void {
    void this.#look();
  }

  override inspect(): Snapshot {
    return { path: this.#options.path, reads: this.#reads, wrong: this.#wrong };
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      if (await this.#watch?.changed()) await this.#read();
    } finally {
      this.#looking = false;
    }
  }

  async #read(): Promise<void> {
    const { path, access, parse } = this.#options;
    const { capabilities, log } = this.ctx;
    try {
      const bytes = await capabilities.files.read(path, 0, FILE_MOST_BYTES);
      const rules = await parse(new TextDecoder().decode(bytes), path);
      const text = JSON.stringify(rules);
      this.#wrong = "";
      if (text === this.#rules) return;
      access.replace(rules);
      this.#reads += 1;
      // The first one is what the cluster was started with.
      if (this.#rules !== "") log.log("info", `${path} has changed: ${rules.length} keys hold now`);
      this.#rules = text;
    } catch (error) {
      const wrong = errorText(error);
      if (wrong !== this.#wrong) log.log("error", `${wrong}; the keys of before still hold`);
      this.#wrong = wrong;
    }
  }
}
