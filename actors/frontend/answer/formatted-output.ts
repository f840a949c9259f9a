/** An answer in one piece that the writer of its events makes, for a client or for the store. */
import type { AnswerEnd, AnswerFailure, AnswerPiece, AnswerUsage } from "../../stream/stream.ts";
import { type ApiError, clientGone } from "../api/api-error.ts";
import type { WholeFormat } from "../api/dialect.ts";
import { type Recording, tellRecording } from "./recording.ts";
import type { AnswerOutput } from "./request-run.ts";
import { failureError } from "./streamed-output.ts";

export class FormattedOutput implements AnswerOutput {
  /** The body's JSON. Rejects with ApiError when the answer failed or the client left. */
  readonly json: Promise<string>;
  readonly #format: WholeFormat;
  readonly #recording: Recording | undefined;
  readonly #has_client: boolean;
  #begun = false;
  #resolve: (json: string) => void = () => {};
  #reject: (error: ApiError) => void = () => {};

  /** `has_client`: a failure is the client's answer. */
  constructor(format: WholeFormat, recording: Recording | undefined, has_client: boolean) {
    this.#has_client = has_client;
    this.#format = format;
    this.#recording = recording;
    this.json = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  piece(choice: number, piece: AnswerPiece): boolean {
    this.#format.piece(choice, piece, !this.#begun);
    this.#begun = true;
    return true;
  }

  end(choice: number, end: AnswerEnd): void {
    this.#format.end(choice, end);
  }

  done(usage: AnswerUsage): void {
    this.#format.usage(usage);
    const body = this.#format.response();
    const give = () => this.#resolve(JSON.stringify(body));
    if (this.#recording === undefined) give();
    else void this.#recording.whole(body, this.#format.deltas).then(give);
  }

  failed(failure: AnswerFailure): void {
    tellRecording(this.#recording, failure, this.#has_client);
    this.#reject(failureError(failure));
  }

  abandoned(): void {
    this.#recording?.left();
    this.#reject(clientGone());
  }
}
