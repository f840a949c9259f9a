/** Values of flags within bounds. What is wrong with one is one line that names the flag. */

/** @param Wrong the command's own error, thrown by all of them */
export function flagRanges(Wrong: new (message: string) => Error) {
  const number = (
    flag: string,
    given: string | undefined,
    otherwise: number,
    least: number,
    most: number,
  ): number => {
    if (given === undefined) return otherwise;
    const value = given.trim() === "" ? Number.NaN : Number(given);
    if (value >= least && value <= most) return value;
    throw new Wrong(`--${flag} ${given} must be a number from ${least} to ${most}`);
  };
  const whole: typeof number = (flag, given, otherwise, least, most) => {
    const value = number(flag, given, otherwise, least, most);
    if (Number.isInteger(value)) return value;
    throw new Wrong(`--${flag} ${given} must be a whole number`);
  };
  const oneOf = <Name extends string>(
    flag: string,
    given: string,
    names: readonly Name[],
  ): Name => {
    const found = names.find((name) => name === given);
    if (found !== undefined) return found;
    throw new Wrong(`--${flag} ${given} must be one of ${names.join(", ")}`);
  };
  return { number, whole, oneOf };
}
