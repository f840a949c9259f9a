/**
 * The numbered chunks that one link has to send, oldest first: first the chunks under way, which
 * the other side's reader has not taken, then waiting ones. At most a window is under way.
 */

type Chunk = { readonly seq: number; readonly size_bytes: number; readonly message: Uint8Array };

const forgotten: Chunk = { seq: 0, size_bytes: 0, message: new Uint8Array(0) };

export class SendWindow {
  /** Chunks from `#first`, the oldest not taken, on; chunks before `#next` are under way. */
  #chunks: Chunk[] = [];
  #first = 0;
  #next = 0;
  #last_seq = 0;
  #sent_bytes = 0;
  #waiting_bytes = 0;

  /** Bytes of chunks that were not sent yet. */
  get waiting_bytes(): number {
    return this.#waiting_bytes;
  }

  /** True: the other side has taken every chunk. */
  get empty(): boolean {
    return this.#first === this.#chunks.length;
  }

  /** Number of the last chunk sent; 0: none. */
  get sent_seq(): number {
    return this.#last_seq - (this.#chunks.length - this.#next);
  }

  /** The number of the next chunk to push. */
  nextSeq(): number {
    return ++this.#last_seq;
  }

  push(seq: number, size_bytes: number, message: Uint8Array): void {
    this.#chunks.push({ seq, size_bytes, message });
    this.#waiting_bytes += size_bytes;
  }

  /** Takes the next chunk that may go out; it is under way then. A single one always may. */
  send(window_bytes: number): Uint8Array | undefined {
    const chunk = this.#chunks[this.#next];
    if (chunk === undefined) return undefined;
    const { size_bytes, message } = chunk;
    const alone = this.#next === this.#first;
    if (!alone && this.#sent_bytes + size_bytes > window_bytes) return undefined;
    this.#next++;
    this.#sent_bytes += size_bytes;
    this.#waiting_bytes -= size_bytes;
    return message;
  }

  /** The chunks under way behind `received`, in order. */
  sentAfter(received: number): Uint8Array[] {
    const sent = this.#chunks.slice(this.#first, this.#next);
    return sent.filter(({ seq }) => seq > received).map(({ message }) => message);
  }

  /** Drops chunks up to `taken`, which the other side has taken. */
  forget(taken: number): void {
    while (this.#first < this.#next && (this.#chunks[this.#first] as Chunk).seq <= taken) {
      this.#sent_bytes -= (this.#chunks[this.#first] as Chunk).size_bytes;
      this.#chunks[this.#first] = forgotten;
      this.#first++;
    }
    if (this.empty) {
      this.#chunks = [];
      this.#first = 0;
      this.#next = 0;
    } else if (this.#first > 1_024 && this.#first * 2 > this.#chunks.length) {
      this.#chunks.splice(0, this.#first);
      this.#next -= this.#first;
      this.#first = 0;
    }
  }

  clear(): void {
    this.#chunks = [];
    this.#first = 0;
    this.#next = 0;
    this.#waiting_bytes = 0;
  }
}
