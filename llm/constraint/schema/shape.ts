/** Which JSON values are meant: a schema with its references, merges and bounds worked out. */
import type { Regex } from "./regex.ts";

export type StringShape = {
  readonly kind: "string";
  /** In code points. */
  readonly min: number;
  readonly max: number | undefined;
  /** Fits the whole text, without anchors; it holds the lengths too. */
  readonly regex: Regex | undefined;
};

export type NumberShape = {
  readonly kind: "number";
  readonly whole: boolean;
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly above: number | undefined;
  readonly below: number | undefined;
  /** A whole number that all are multiples of; undefined: 1. */
  readonly step?: number | undefined;
};

export type ListShape = {
  readonly kind: "list";
  readonly first: readonly Shape[];
  /** Behind `first`; undefined: nothing follows. */
  readonly items: Shape | undefined;
  readonly min: number;
  readonly max: number | undefined;
};

export type Property = { readonly name: string; readonly shape: Shape; readonly required: boolean };

export type ObjectShape = {
  readonly kind: "object";
  /** In the order in which an answer has them. */
  readonly properties: readonly Property[];
  /** Other names and their values; none: there are no others. */
  readonly others: readonly { readonly name: StringShape; readonly shape: Shape }[];
  /** How many of the others; read where there are no properties. */
  readonly min: number;
  readonly max: number | undefined;
};

export type Shape =
  | { readonly kind: "any" }
  | { readonly kind: "boolean" }
  | { readonly kind: "null" }
  | { readonly kind: "value"; readonly value: unknown }
  | StringShape
  | NumberShape
  | ListShape
  | ObjectShape
  | { readonly kind: "or"; readonly shapes: readonly Shape[] }
  /** The shape of this name in `ShapeTable`: references that lead back are no endless trees. */
  | { readonly kind: "ref"; readonly name: string };

export type ShapeTable = {
  readonly root: Shape;
  readonly named: ReadonlyMap<string, Shape>;
};

export const ANY_STRING: StringShape = { kind: "string", min: 0, max: undefined, regex: undefined };
export const ANY_SHAPE: Shape = { kind: "any" };
export const ANY_OBJECT: ObjectShape = {
  kind: "object",
  properties: [],
  others: [{ name: ANY_STRING, shape: ANY_SHAPE }],
  min: 0,
  max: undefined,
};

/** The schema of any object. */
export const ANY_OBJECT_SCHEMA = { type: "object" } as const;
