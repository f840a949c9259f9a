import type { Sink } from "../scan/sink.ts";
import type { Source } from "../scan/source.ts";
import type { Machine } from "../scan/tagged-machine.ts";

/** Writes the opener that the prompt swallowed before the output; all of it stays content. */
export class AppendThink implements Machine {
  readonly #machine: Machine;
  #begun = false;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  get in_reasoning(): boolean {
    return this.#machine.in_reasoning;
  }

  run(source: Source, sink: Sink): void {
    if (!this.#begun && !source.empty) {
      this.#begun = true;
      sink.content("<think>");
    }
    this.#machine.run(source, sink);
  }

  end(source: Source, sink: Sink, finish: string): void {
    this.#machine.end(source, sink, finish);
  }
}
