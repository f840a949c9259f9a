/**
 * Which of a door's series are also those of the conventions for generative models
 * (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/), by their names here.
 */
import type { SecondNames } from "../../runtime/observe/telemetry.ts";

const common = {
  labels: { "gen_ai.provider.name": "troupe" },
  renamed: { model: "gen_ai.request.model" },
};
const used = (type: string) => ({
  ...common,
  ...{ name: "gen_ai.client.token.usage", unit: "{token}" },
  labels: { ...common.labels, "gen_ai.token.type": type },
});

export const genAiMetrics: SecondNames = {
  dynamo_frontend_request_duration_seconds: {
    ...{ ...common, name: "gen_ai.server.request.duration", unit: "s" },
  },
  dynamo_frontend_time_to_first_token_seconds: {
    ...{ ...common, name: "gen_ai.server.time_to_first_token", unit: "s" },
  },
  dynamo_frontend_inter_token_latency_seconds: {
    ...{ ...common, name: "gen_ai.server.time_per_output_token", unit: "s" },
  },
  dynamo_frontend_input_sequence_tokens: used("input"),
  dynamo_frontend_output_sequence_tokens: used("output"),
};
