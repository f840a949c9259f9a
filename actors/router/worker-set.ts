/**
 * The workers that a router may choose from: their records come from the registry, their load from
 * themselves, their requests in flight from what this router has sent.
 */
import type { WorkerLoad, WorkerRecord } from "../../proto/index.ts";
import { type Candidate, isPrefill, newCandidate } from "./candidate.ts";

export class WorkerSet {
  readonly #by_name = new Map<string, Candidate>();
  readonly #by_request = new Map<string, Candidate>();
  #sorted: readonly Candidate[] | undefined;
  /** The same, apart: those that make answers, and those that compute prompts for them. */
  #apart: { answering: readonly Candidate[]; prefilling: readonly Candidate[] } | undefined;

  /** In order of name; the same array until a worker is added or removed. */
  all(): readonly Candidate[] {
    this.#sorted ??= [...this.#by_name.values()].sort((a, b) =>
      a.record.worker < b.record.worker ? -1 : 1,
    );
    return this.#sorted;
  }

  /** In order of name, by what they make. */
  byRole() {
    if (this.#apart !== undefined) return this.#apart;
    const all = this.all();
    const prefilling = all.filter(isPrefill);
    const answering = prefilling.length === 0 ? all : all.filter((each) => !isPrefill(each));
    this.#apart = { answering, prefilling };
    return this.#apart;
  }

  get(worker: string): Candidate | undefined {
    return this.#by_name.get(worker);
  }

  requests(): IterableIterator<string> {
    return this.#by_request.keys();
  }

  /** Returns the new candidate; undefined: this start of the worker is known, in this role. */
  add(record: WorkerRecord): Candidate | undefined {
    const fresh = newCandidate(record);
    const known = this.#by_name.get(record.worker);
    if (known?.key === fresh.key && known.record.role === record.role) {
      known.adapters.splice(0, known.adapters.length, ...fresh.adapters);
      Object.assign(known.sharer, fresh.sharer);
      return undefined;
    }
    this.remove(record.worker);
    this.#by_name.set(record.worker, fresh);
    this.#sorted = undefined;
    this.#apart = undefined;
    return fresh;
  }

  /** Requests that were there are forgotten: their streams will ask again. */
  remove(worker: string): Candidate | undefined {
    const gone = this.#by_name.get(worker);
    if (gone === undefined) return undefined;
    this.#by_name.delete(worker);
    this.#sorted = undefined;
    this.#apart = undefined;
    for (const [request, candidate] of this.#by_request) {
      if (candidate === gone) this.#by_request.delete(request);
    }
    return gone;
  }

  /** A report is also a sign of life. Returns true when the worker was suspect until now. */
  report(load: WorkerLoad): boolean {
    const candidate = this.#by_name.get(load.worker);
    if (candidate === undefined) return false;
    candidate.reported = load;
    candidate.in_flight_at_report = candidate.in_flight;
    const was_suspect = candidate.suspect;
    candidate.suspect = false;
    return was_suspect;
  }

  /** The worker of a request that has not ended. */
  of(request: string): Candidate | undefined {
    return this.#by_request.get(request);
  }

  begin(request: string, candidate: Candidate): void {
    this.end(request);
    this.#by_request.set(request, candidate);
    candidate.in_flight++;
  }

  /** Ends the request. Returns its worker; undefined: it had none. */
  end(request: string): Candidate | undefined {
    const candidate = this.#by_request.get(request);
    if (candidate === undefined) return undefined;
    this.#by_request.delete(request);
    candidate.in_flight--;
    return candidate;
  }
}
