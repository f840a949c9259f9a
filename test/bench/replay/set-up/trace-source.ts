/** The trace of a command line: files, or one that is made up. */
import { type ShapeMarks, shapeMarks } from "../arrival-shape.ts";
import { UsageError, whole, wholeOr0 } from "../flag-values.ts";
import { readSyntheticOptions, syntheticTrace } from "../synthetic.ts";
import {
  readTrace,
  type TraceFormat,
  type TraceRequest,
  traceBlockSize,
  traceFormats,
  withPriorities,
} from "../trace.ts";
import type { WorldFlags } from "./flags.ts";
import { traceFiles } from "./trace-files.ts";

/** Where a trace does not say it itself. */
const BLOCK_TOKENS = 512;
const ADVICE = "give the path of a trace, or synthetic:requests=4000";
const CLASSES_MOST = 1_000;

export type TraceSource = {
  readonly trace: readonly TraceRequest[];
  /** Tokens of a block of the engines, and of a hash id of the trace. */
  readonly block_size: number;
  readonly trace_block_size: number;
  readonly marks: ShapeMarks;
};

const isMadeUp = (source: string): boolean => /^synthetic(:|$)/.test(source);

/** Throws UsageError and SyntheticError. */
export function traceSource(sources: readonly string[], flags: WorldFlags): TraceSource {
  const [first = ""] = sources;
  const synthetic = isMadeUp(first);
  if (sources.length > 1 && sources.some(isMadeUp)) {
    throw new UsageError("a made-up trace stands alone: leave the other one out");
  }
  const read = synthetic ? undefined : traceFiles(sources, ADVICE);
  const own_size = read?.(traceBlockSize);
  const sized = (flag: "block-size" | "trace-block-size") =>
    whole(`--${flag}`, flags[flag] || `${own_size ?? BLOCK_TOKENS}`);
  const block_size = sized("block-size");
  const trace_block_size = sized("trace-block-size");
  if (own_size !== undefined && trace_block_size !== own_size) {
    throw new UsageError(
      `the trace has blocks of ${own_size} tokens: leave --trace-block-size out`,
    );
  }
  if (trace_block_size % block_size !== 0) {
    const sizes = `--block-size ${block_size} must divide --trace-block-size ${trace_block_size}`;
    throw new UsageError(sizes);
  }
  const classes = wholeOr0("--priority-classes", flags["priority-classes"], CLASSES_MOST);
  const format = formatOf(flags["trace-format"]);
  const made = synthetic ? readSyntheticOptions(first.slice("synthetic:".length)) : undefined;
  const requests =
    made === undefined
      ? (read?.((text) => readTrace(text, trace_block_size, format)) ?? [])
      : syntheticTrace(made, trace_block_size);
  const trace = classes > 0 ? withPriorities(requests, classes) : requests;
  return { trace, block_size, trace_block_size, marks: shapeMarks(made?.shape) };
}

/** Undefined: as the first line looks. */
function formatOf(format: string): TraceFormat | undefined {
  if (format === "") return undefined;
  const found = traceFormats.find((each) => each === format);
  if (found !== undefined) return found;
  throw new UsageError(`--trace-format ${format}: use one of ${traceFormats.join(", ")}`);
}
