/** Three tools with every JSON type, as the golden cases have them. */
import type { ToolShape } from "../../../llm/parsers/scan/reader.ts";

const STRING = { type: "string" };

export const PARSER_TOOLS: readonly ToolShape[] = [
  {
    name: "get_weather",
    parameters: {
      type: "object",
      properties: {
        city: STRING,
        unit: { type: "string", enum: ["celsius", "fahrenheit"] },
        days: { type: "integer" },
      },
      required: ["city"],
    },
  },
  {
    name: "create_event",
    parameters: {
      type: "object",
      properties: {
        title: STRING,
        attendees: { type: "array", items: STRING },
        place: {
          type: "object",
          properties: {
            room: STRING,
            floor: { type: "integer" },
            tags: { type: "array", items: STRING },
          },
        },
        priority: { type: "number" },
        private: { type: "boolean" },
        notes: STRING,
      },
      required: ["title"],
    },
  },
  { name: "list_files", parameters: { type: "object", properties: {} } },
];
