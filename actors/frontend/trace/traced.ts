/** What stands before an answer's meter and output, where requests are traced. Types only. */
import type { AnswerOutput } from "../answer/request-run.ts";
import type { RequestMeter } from "../frontend-metrics.ts";

export interface Traced {
  meter(meter: RequestMeter): RequestMeter;
  output(output: AnswerOutput): AnswerOutput;
}
