/**
 * The numbered chunks that one link has to send, oldest first: those under way, which the other
 * side's reader has not taken yet, then those that wait. No more than a window is under way.
 */

type Chunk = { readonly seq: number; readonly size_bytes: number; readonly message: Uint8Array };

const forgotten: Chunk = { seq: 0, size_bytes: 0, message: new Uint8Array(0) };

export class SendWindow {
  /** From `#first`, the oldest that is not taken there; those before `#next` are under way. */
  #chunks: Chunk[] = [];
  #first = 0;
  #next = 0;
  #last_seq = 0;
  #sent_bytes = 0;
  #waiting_bytes = 0;

  /** Of chunks that were not sent yet. */
  get waiting_bytes(): number {
    return this.#waiting_bytes;
  }

  /** Everything was taken there. */
  get empty(): boolean {
    return this.#first === this.#chunks.length;
  }

  /** 0: none was sent. */
  get sent_seq(): number {
    return this.#last_seq - (this.#chunks.length - this.#next);
  }

  /** The number of the next chunk, which is to be pushed. */
  nextSeq(): number {
    return ++this.#last_seq;
  }

  push(seq: number, size_bytes: number, message: Uint8Array): void {
    this.#chunks.push({ seq, size_bytes, message });
    this.#waiting_bytes += size_bytes;
  }

  /** The chunk that may go out now, which is under way from now on; one alone always may. */
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

  /** What is under way behind `received`, in order. */
  sentAfter(received: number): Uint8Array[] {
    const sent = this.#chunks.slice(this.#first, this.#next);
    return sent.filter(({ seq }) => seq > received).map(({ message }) => message);
  }

  /** Everything up to here has been taken there. */
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
