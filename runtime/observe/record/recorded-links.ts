/** A transport whose frames are written down as they pass, both ways. */
import { codecs } from "../../../proto/index.ts";
import type { Clock } from "../../capabilities.ts";
import { FrameWalk } from "../../remote/envelope.ts";
import { control } from "../../remote/wire.ts";
import type { Link, LinkHandlers, Transport } from "../../transport/transport.ts";
import type { RecordFiles } from "./record-files.ts";

export type LinkRecorder = {
  readonly files: RecordFiles;
  readonly clock: Clock;
  readonly nextLink: () => number;
};

export function recordedTransport(of: Transport, recorder: LinkRecorder): Transport {
  const { reaches } = of;
  return {
    scheme: of.scheme,
    ...(reaches === undefined ? {} : { reaches: (address: string) => reaches.call(of, address) }),
    listen: (address, accept) =>
      of.listen(address, (link) => {
        const seen = new RecordedLink(link, recorder);
        return seen.handlers(accept(seen));
      }),
    connect: async (address, open, timeout_ms) => {
      let seen: RecordedLink | undefined;
      const connected = await of.connect(
        address,
        (link) => {
          seen = new RecordedLink(link, recorder);
          return seen.handlers(open(seen));
        },
        timeout_ms,
      );
      return seen ?? connected;
    },
  };
}

type Slots = Map<number, string>;

class RecordedLink implements Link {
  readonly #link: Link;
  readonly #recorder: LinkRecorder;
  readonly #number: number;
  readonly #ours: Slots = new Map();
  readonly #theirs: Slots = new Map();
  #peer = "";
  /** Of the file that has told the slots. */
  #told_in = -1;

  constructor(link: Link, recorder: LinkRecorder) {
    this.#link = link;
    this.#recorder = recorder;
    this.#number = recorder.nextLink();
  }

  handlers(of: LinkHandlers): LinkHandlers {
    return {
      ...of,
      frame: (bytes) => {
        this.#record(bytes, false);
        of.frame(bytes);
      },
    };
  }

  send(frame: Uint8Array): boolean {
    const sent = this.#link.send(frame);
    if (sent) this.#record(frame, true);
    return sent;
  }

  get queued_bytes(): number {
    return this.#link.queued_bytes;
  }
  get away(): boolean {
    return this.#link.away === true;
  }
  pause(): void {
    this.#link.pause();
  }
  resume(): void {
    this.#link.resume();
  }
  close(): void {
    this.#link.close();
  }

  #record(frame: Uint8Array, out: boolean): void {
    const { files, clock } = this.#recorder;
    const { part } = files;
    if (part !== this.#told_in) this.#tell();
    const at_ms = clock.now_ms();
    files.add({ frame: { link: this.#number, out, at_ms, frame } });
    this.#learn(frame, out);
  }

  #tell(): void {
    const { files } = this.#recorder;
    const ours = slotsOf(this.#ours);
    const link = { link: this.#number, peer: this.#peer, ours, theirs: slotsOf(this.#theirs) };
    if (files.add({ link })) this.#told_in = files.part;
  }

  /** Names that later frames refer to by number, also those in later files. */
  #learn(frame: Uint8Array, out: boolean): void {
    try {
      const walk = new FrameWalk(frame);
      while (walk.next()) {
        const { head, reader } = walk;
        if (head.type === control.intern) {
          const { slot, path } = codecs.Intern.decode(reader, head.body_bytes);
          (out ? this.#ours : this.#theirs).set(slot, path);
        } else if (head.type === control.hello && !out) {
          this.#peer = codecs.Hello.decode(reader, head.body_bytes).node;
          this.#told_in = -1;
        }
      }
    } catch {
      // The connection itself says what is wrong with the frame.
    }
  }
}

const slotsOf = (slots: Slots) => [...slots].map(([slot, path]) => ({ slot, path }));
