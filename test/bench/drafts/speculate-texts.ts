/**
 * What people ask: short questions, whose answers repeat little, tasks whose answers repeat much of
 * their prompt, and answers by a schema. Answers end where the model ends them.
 */
import type { JsonSchema } from "../../../llm/constraint/constraint.ts";

export const questions: readonly string[] = [
  "Why is the sky blue?",
  "What is the difference between a list and a tuple in Python?",
  "Give me three tips for a job interview.",
  "How do vaccines work?",
  "Write a short poem about the sea.",
  "What should I cook with eggs, spinach and cheese?",
  "Explain recursion to a child.",
  "What causes inflation?",
  "How do I remove a red wine stain from a shirt?",
  "Name five animals that live in the desert, and say how they find water.",
  "What is a good way to learn a language?",
  "Why do leaves change colour in autumn?",
];

const tower =
  "The Eiffel Tower is a wrought-iron lattice tower on the Champ de Mars in Paris, France. It is " +
  "named after the engineer Gustave Eiffel, whose company designed and built the tower from 1887 " +
  "to 1889. It was the centrepiece of the 1889 World's Fair and was criticised by some of " +
  "France's leading artists for its design, but it has become a global cultural icon of France " +
  "and one of the most recognisable structures in the world. The tower is 330 metres tall, about " +
  "the same height as an 81-storey building, and the tallest structure in Paris.";
const bees =
  "Honey bees live in colonies of up to sixty thousand workers, some hundred drones and one " +
  "queen. Workers fly up to three kilometres to collect nectar, which the colony turns into " +
  "honey. A worker that has found flowers tells the others by a dance: its direction says where " +
  "the flowers are, and its length how far. Since 2006 many keepers have lost colonies to mites, " +
  "to pesticides and to a lack of flowers.";
const code = `function total(items) {
  let sum = 0;
  for (const item of items) {
    sum += item.price * item.count;
  }
  return sum;
}

function average(items) {
  let count = 0;
  for (const item of items) {
    count += item.count;
  }
  return total(items) / count;
}`;

export const tasks: readonly string[] = [
  `Summarize this text in two sentences.\n\n${tower}`,
  `Summarize this text in two sentences.\n\n${bees}`,
  `Rename "item" to "product" in this code and give me all of it.\n\n${code}`,
  `Add a comment above each function of this code and give me all of it.\n\n${code}`,
  `${tower}\n\nWho built the tower, and when? Answer in the words of the text.`,
  `${bees}\n\nHow does a worker tell the others where flowers are? Answer in the words of the text.`,
  `Correct the spelling of this text and change nothing else.\n\n${bees.replaceAll("honey", "hony")}`,
  `Write this text again as a list with a sentence a line.\n\n${tower}`,
];

const object = (properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  type: "object",
  properties,
  required: Object.keys(properties),
});
const text = { type: "string" };
const whole = { type: "integer" };
const person = object({
  name: text,
  born: whole,
  country: text,
  alive: { type: "boolean" },
  works: { type: "array", items: object({ title: text, year: whole }), minItems: 2, maxItems: 3 },
});
const building = object({
  name: text,
  city: text,
  height_in_metres: whole,
  built: object({ from: whole, to: whole, by: text }),
  purpose: { enum: ["home", "office", "monument", "church"] },
});
const weather = object({
  city: text,
  temperature: { type: "number" },
  unit: { enum: ["celsius", "fahrenheit"] },
  wind: object({ speed: { type: "number" }, from: { enum: ["north", "south", "east", "west"] } }),
});

export const forms: readonly { readonly text: string; readonly json_schema: JsonSchema }[] = [
  { text: "Tell me about Albert Einstein, as JSON.", json_schema: person },
  { text: `${tower}\n\nDescribe the tower as JSON.`, json_schema: building },
  { text: "Invent the weather of Paris, as JSON.", json_schema: weather },
  { text: "Tell me about Jane Austen, as JSON.", json_schema: person },
  { text: "Describe the Colosseum as JSON.", json_schema: building },
  {
    text: "In Rome it has 21.5 degrees, with wind of 12 km/h from the west. Say it as JSON.",
    json_schema: weather,
  },
];
