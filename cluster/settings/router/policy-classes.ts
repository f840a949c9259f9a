/** `--router-policy-class`. */
import { SettingsError } from "../settings-error.ts";

/** Names and units of PolicyClass in actors/router. */
export type PolicyClassSettings = {
  readonly name: string;
  readonly weight: number;
  /** Undefined: only the queue's own limit. */
  readonly requests_max?: number;
};

const CLASS_FORM = /^([A-Za-z0-9._-]+):(\d+(?:\.\d+)?)(?::(\d+))?$/;

/** Throws SettingsError. */
export function policyClasses(given: readonly string[]): PolicyClassSettings[] {
  const classes = given.map((text) => {
    const [, name = "", weight, most] = CLASS_FORM.exec(text) ?? [];
    if (!(Number(weight) > 0)) {
      const rule = "use NAME:WEIGHT or NAME:WEIGHT:MOST, for example batch:0.2:500, weight above 0";
      throw new SettingsError(`--router-policy-class ${text}: ${rule}`);
    }
    const limit = most === undefined ? {} : { requests_max: Number(most) };
    return { name, weight: Number(weight), ...limit };
  });
  const names = classes.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new SettingsError(`--router-policy-class: ${twice} is there twice`);
  return classes;
}

/** As it is given. */
export const policyClassText = ({ name, weight, requests_max }: PolicyClassSettings) =>
  requests_max === undefined ? `${name}:${weight}` : `${name}:${weight}:${requests_max}`;
