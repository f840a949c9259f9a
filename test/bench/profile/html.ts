/** The report of a profile as one HTML file: the curves, and what is recommended. */
import {
  heading,
  page,
  paragraph,
  preformatted,
  table,
} from "../../../runtime/observe/html/html-page.ts";
import { linePlot, type Series } from "../../../runtime/observe/html/line-plot.ts";
import type { Curves } from "./curves.ts";
import type { EngineNotes } from "./engine.ts";
import type { Asked, FrontierPoint, Recommendation } from "./recommend.ts";
import { candidateRow, frontierRow, recommendationText } from "./recommend-table.ts";

export type Recommended = {
  readonly asked: Asked;
  readonly found: Recommendation;
  readonly points: readonly FrontierPoint[];
};

export function profileReport(
  notes: EngineNotes,
  curves: Curves,
  left_out: readonly string[],
  recommended: Recommended | undefined,
): string {
  return page(`Profile of ${notes.model || "an engine"}`, [
    paragraph(
      `${notes.gpus} GPU an engine, ${curves.decode.max_kv_tokens[0]} tokens of KV cache. ` +
        `Times are medians; throughput is in tokens a second of one GPU.`,
    ),
    ...prefillPlots(curves),
    ...decodePlots(curves),
    ...(recommended === undefined ? [] : recommendationParts(recommended)),
    ...(left_out.length === 0 ? [] : [heading("Left out"), preformatted(left_out.join("\n"))]),
  ]);
}

function prefillPlots({ prefill }: Curves): string[] {
  const { prefill_isl, prefill_ttft, prefill_thpt_per_gpu } = prefill;
  const over = (name: string, ys: readonly number[]): Series[] => {
    const points = prefill_isl.map((x, i) => ({ x, y: ys[i] ?? Number.NaN }));
    return [
      { name, points },
      { name: "measured", points, drawn: "dots" },
    ];
  };
  const x = "tokens of the prompt";
  return [
    linePlot({ title: "First token", x, y: "ms", series: over("TTFT", prefill_ttft) }),
    linePlot({
      ...{ title: "Prompts", x, y: "tokens/s/GPU" },
      series: over("throughput", prefill_thpt_per_gpu),
    }),
  ];
}

function decodePlots({ decode }: Curves): string[] {
  const { x_kv_usage, y_context_length, z_itl, z_thpt_per_gpu } = decode;
  const contexts = [...new Set(y_context_length)];
  const each = (ys: readonly number[]): Series[] =>
    contexts.map((context) => ({
      name: `${context} tokens`,
      points: x_kv_usage.flatMap((x, i) =>
        y_context_length[i] === context ? [{ x: 100 * x, y: ys[i] ?? Number.NaN }] : [],
      ),
    }));
  const x = "KV cache in use, %";
  return [
    linePlot({ title: "Between tokens, by context", x, y: "ms", series: each(z_itl) }),
    linePlot({
      ...{ title: "Answers, by context", x, y: "tokens/s/GPU" },
      series: each(z_thpt_per_gpu),
    }),
  ];
}

function recommendationParts({ asked, found, points }: Recommended): string[] {
  const kinds = ["aggregated", "disaggregated"] as const;
  const against = (of: (point: FrontierPoint) => number): Series[] => {
    const lines = kinds.map((kind): Series => {
      const own = points.filter((point) => point.kind === kind);
      const drawn = own.map((point) => ({ x: of(point), y: point.tokens_per_s_per_gpu }));
      return { name: kind, points: drawn.sort((a, b) => a.x - b.x), drawn: "dots" };
    });
    return lines;
  };
  const limit = (at: number): Series => ({
    name: "SLA",
    points: [0, Math.max(0, ...points.map((point) => point.tokens_per_s_per_gpu))].map((y) => ({
      ...{ x: at, y },
    })),
    drawn: "limit",
  });
  const y = "tokens/s/GPU";
  return [
    heading("What it takes"),
    preformatted(recommendationText(asked, found)),
    table(
      ["workers", "GPUs", "req/s", "tokens/s/GPU", "TTFT, ms", "ITL, ms", "within the SLA"],
      found.candidates.map(candidateRow),
    ),
    heading("What a GPU makes as answers may take longer"),
    linePlot({
      ...{ title: "Against the time between tokens", x: "ITL, ms", y },
      series: [...against((point) => point.itl_ms), limit(asked.sla.itl_ms)],
    }),
    linePlot({
      ...{ title: "Against the first token", x: "TTFT, ms", y },
      series: [...against((point) => point.ttft_ms), limit(asked.sla.ttft_ms)],
    }),
    table(["role", "at once", "tokens/s/GPU", "TTFT, ms", "ITL, ms"], points.map(frontierRow)),
  ];
}
