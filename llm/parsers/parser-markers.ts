import { harmony, inkling, muse } from "./framed/channel-formats.ts";
import { channelMarkers } from "./framed/channel-machine.ts";
import { KIMI_K3_MARKERS } from "./framed/kimi-k3-machine.ts";
import { type Frame, reasoningEntry, toolEntry } from "./names.ts";
import { MUSE_INVOKE } from "./tool/invoke-calls.ts";

/**
 * Markers that these parsers read: a control token that stands in one of them has to be in the
 * text, although control tokens are left out of answers otherwise. Throws ParserNameError.
 */
export function parserMarkers(
  tool: string | undefined,
  reasoning: string | undefined,
): readonly string[] {
  const calls = toolEntry(tool)?.format;
  const think = reasoningEntry(reasoning)?.format;
  const markers: string[] = [];
  if (typeof calls === "string") markers.push(...frameMarkers(calls));
  else if (calls !== undefined) markers.push(...calls.openers, ...calls.strays, ...calls.inner);
  if (typeof think === "object") markers.push(...think.open, ...think.close);
  else if (think !== undefined && think !== "append") markers.push(...frameMarkers(think));
  return [...new Set(markers)];
}

function frameMarkers(frame: Frame): readonly string[] {
  if (frame === "kimi_k3") return KIMI_K3_MARKERS;
  if (frame === "harmony") return channelMarkers(harmony(true));
  if (frame === "inkling") return channelMarkers(inkling(true));
  const { wrapper_open, wrapper_close } = MUSE_INVOKE;
  const channels = channelMarkers(muse(true, { tools: new Map() }));
  return [...channels, ...wrapper_open, wrapper_close];
}
