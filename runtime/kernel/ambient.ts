/**
 * The trace of the message that is being handled right now, so that a plain `ref.tell` carries it
 * on. One turn runs at a time in a process, hence one place. It covers a handler up to its first
 * `await`; after that, `ctx.tell` and `ctx.ask` carry the trace all the same.
 */

import type { TraceContext } from "../observe/trace.ts";

export const ambient: { trace: TraceContext | undefined } = { trace: undefined };
