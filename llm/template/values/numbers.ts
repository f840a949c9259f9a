/** Whole numbers without an end, floats, and how Python calculates with them. */
import { fail } from "../errors.ts";
import { Float, typeName } from "./values.ts";

export type Numeric = number | bigint | boolean | Float;

export const isNumeric = (value: unknown): value is Numeric =>
  typeof value === "number" ||
  typeof value === "boolean" ||
  typeof value === "bigint" ||
  value instanceof Float;

export const isFloat = (value: unknown): boolean =>
  value instanceof Float || (typeof value === "number" && !isWhole(value));

/** Numbers from JSON that are this large were written with an exponent: floats. */
const isWhole = (value: number): boolean => Number.isInteger(value) && Math.abs(value) < 1e21;

export const isInteger = (value: unknown): value is number | bigint =>
  typeof value === "bigint" || (typeof value === "number" && isWhole(value));

export const numberOf = (value: Numeric): number =>
  value instanceof Float ? value.value : Number(value);

export const floatOf = (value: number): number | Float =>
  isWhole(value) ? new Float(value) : value;

/** `value` is no float. */
export const bigOf = (value: Numeric): bigint =>
  value instanceof Float ? BigInt(Math.trunc(value.value)) : BigInt(value);

export const intOf = (value: bigint): number | bigint =>
  value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;

/** An index or a count. Throws where Python takes no other number. */
export function indexOf(value: unknown, where: string): number {
  if (typeof value === "boolean" || isInteger(value)) return Number(value);
  return fail(`${where}: '${typeName(value)}' object cannot be interpreted as an integer`);
}

export function negated(value: unknown, sign: "+" | "-"): unknown {
  if (!isNumeric(value)) fail(`bad operand type for unary ${sign}: '${typeName(value)}'`);
  if (isFloat(value)) return floatOf(sign === "-" ? -numberOf(value) : numberOf(value));
  const big = typeof value === "bigint" ? value : Number(value) + 0;
  if (sign === "+") return big;
  return typeof big === "bigint" ? intOf(-big) : 0 - big;
}

type Calculate = (a: Numeric, b: Numeric) => unknown;

const divisor = (value: number, what: string): number =>
  value === 0 ? fail(`${what} by zero`) : value;

const WHOLE_BITS = 65_536;
const WHOLE_MAX = 1n << BigInt(WHOLE_BITS);

/** Arithmetic of whole numbers: `fast` while it is safe, else `exact`. */
function whole(a: Numeric, b: Numeric, fast: number, exact: () => bigint): unknown {
  if (typeof a !== "bigint" && typeof b !== "bigint" && Number.isSafeInteger(fast)) return fast + 0;
  const made = exact();
  if (made > WHOLE_MAX || made < -WHOLE_MAX) fail("a whole number of more than 65536 bits");
  return intOf(made);
}

const floorDivided = (a: bigint, b: bigint): bigint => {
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
};

/** Python's remainder has the sign of the divisor. */
const remainder = (a: number, b: number): number => {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
};

const floored = (a: number, b: number): number => (a - remainder(a, b)) / b;

const calculations: Readonly<Record<string, Calculate>> = {
  "+": (a, b) => {
    const sum = numberOf(a) + numberOf(b);
    if (isFloat(a) || isFloat(b)) return floatOf(sum);
    return whole(a, b, sum, () => bigOf(a) + bigOf(b));
  },
  "-": (a, b) => {
    const difference = numberOf(a) - numberOf(b);
    if (isFloat(a) || isFloat(b)) return floatOf(difference);
    return whole(a, b, difference, () => bigOf(a) - bigOf(b));
  },
  "*": (a, b) => {
    const product = numberOf(a) * numberOf(b);
    if (isFloat(a) || isFloat(b)) return floatOf(product);
    return whole(a, b, product, () => bigOf(a) * bigOf(b));
  },
  "/": (a, b) => floatOf(numberOf(a) / divisor(numberOf(b), "division")),
  "//": (a, b) => {
    const [x, y] = [numberOf(a), divisor(numberOf(b), "integer division or modulo")];
    if (isFloat(a) || isFloat(b)) return floatOf(Math.round(floored(x, y)));
    return intOf(floorDivided(bigOf(a), bigOf(b)));
  },
  "%": (a, b) => {
    const [x, y] = [numberOf(a), divisor(numberOf(b), "integer modulo")];
    if (isFloat(a) || isFloat(b)) return floatOf(remainder(x, y));
    const exact = () => bigOf(a) - floorDivided(bigOf(a), bigOf(b)) * bigOf(b);
    return whole(a, b, remainder(x, y), exact);
  },
  "**": (a, b) => {
    const [x, y] = [numberOf(a), numberOf(b)];
    if (isFloat(a) || isFloat(b) || y < 0) {
      if (x === 0 && y < 0) fail("0.0 cannot be raised to a negative power");
      return floatOf(x ** y);
    }
    if (y > POWER_MAX) fail(`exponents above ${POWER_MAX} are not calculated`);
    if (y * Math.log2(Math.abs(x)) > WHOLE_BITS) fail("a whole number of more than 65536 bits");
    return whole(a, b, x ** y, () => bigOf(a) ** bigOf(b));
  },
};

const POWER_MAX = 4096;

/** `a sign b` of two numbers. */
export function calculated(sign: string, a: Numeric, b: Numeric): unknown {
  return calculations[sign]?.(a, b);
}

/** Below 0, 0 or above; NaN is not comparable. */
export function compareNumbers(a: Numeric, b: Numeric): number {
  if (typeof a === "bigint" || typeof b === "bigint") {
    // A bigint and a number compare by value; where neither is less they are equal.
    const [x, y] = [a instanceof Float ? a.value : a, b instanceof Float ? b.value : b];
    return x < y ? -1 : x > y ? 1 : x >= y ? 0 : Number.NaN;
  }
  return numberOf(a) - numberOf(b) || (numberOf(a) === numberOf(b) ? 0 : Number.NaN);
}

/** `repr` of a float: the shortest digits that give it back. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [digits = "", power = ""] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const sign = exponent < 0 ? "-" : "+";
    return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const sign = value < 0 ? "-" : "";
  const plain = digits.replace(/[-.]/g, "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${plain}`;
  const whole_digits = plain.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole_digits}.${plain.slice(exponent + 1) || "0"}`;
}

export function numberText(value: Numeric): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (isFloat(value)) return floatText(numberOf(value));
  if (typeof value === "number" && Number.isSafeInteger(value)) return String(value + 0);
  return bigOf(value).toString();
}

/** `value.toFixed(digits)` with ties to even, as Python rounds. */
export function fixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return floatText(value);
  if (Math.abs(value) >= 1e21) {
    const text = BigInt(value).toString();
    return digits > 0 ? `${text}.${"0".repeat(digits)}` : text;
  }
  const text = value.toFixed(Math.min(digits, 100));
  if (digits > 52) return text.padEnd(text.length + Math.max(0, digits - 100), "0");
  // A tie ends exactly behind a 5 at the next place; toFixed took the larger neighbour.
  const exact = Math.abs(value).toFixed(Math.min(100, digits + 60));
  const point = exact.indexOf(".");
  const behind = exact.slice(point + 1 + digits);
  if (!/^50*$/.test(behind)) return signed(value, text);
  const below = exact.slice(0, digits === 0 ? point : point + 1 + digits);
  const even = Number(below.at(-1)) % 2 === 0;
  if (!even) return signed(value, text);
  return value < 0 ? `-${below}` : below;
}

/** Python keeps the sign of what rounds to nothing. */
const signed = (value: number, text: string): string =>
  (value < 0 || Object.is(value, -0)) && !text.startsWith("-") ? `-${text}` : text;

/** `round(value, digits)`. */
export function rounded(value: Numeric, digits: number): number | bigint | Float {
  if (!isFloat(value) && digits >= 0) return intOf(bigOf(value));
  if (digits >= 0) return floatOf(Number(fixed(numberOf(value), digits)));
  const unit = 10 ** -digits;
  const scaled = Number(fixed(numberOf(value) / unit, 0)) * unit;
  return isFloat(value) ? floatOf(scaled) : intOf(BigInt(scaled));
}
