/** What is opened at its first use; an opening that failed is tried again at the next one. */
export class OpenOnce<T> {
  readonly #open: () => Promise<T>;
  #opening: Promise<T> | undefined;

  constructor(open: () => Promise<T>) {
    this.#open = open;
  }

  /** Undefined: nobody has used it, or its opening failed. */
  get started(): Promise<T> | undefined {
    return this.#opening;
  }

  get(): Promise<T> {
    if (this.#opening !== undefined) return this.#opening;
    const opening = this.#open();
    this.#opening = opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    return opening;
  }
}
