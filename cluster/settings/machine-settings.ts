/** How this machine joins others, or stays alone. */
import { errorText } from "../../runtime/error-text.ts";
import { natsSchemes, planeUrl, planeUrls, redisSchemes } from "../../runtime/plane-url.ts";
import type { PlaneUrls } from "../../runtime/planes.ts";
import type { SettingsOf } from "../../runtime/setting.ts";
import type { planeFlags, RootRole } from "./cluster-flags.ts";
import { SettingsError } from "./settings-error.ts";

const NAME_RULE = "is made of letters, digits, _ and -, at most 63 of them";
const isName = (text: string) => /^[\w-]{1,63}$/.test(text);

export type MachineSettings = {
  readonly role: RootRole;
  /** Letters, digits, _ and -. */
  readonly namespace: string;
  /** Undefined = one machine. */
  readonly planes: PlaneUrls | undefined;
  /** Empty = the host's. */
  readonly machine_name: string;
};

/** Throws SettingsError. */
export function machineSettings(given: SettingsOf<typeof planeFlags>): MachineSettings {
  const { role, namespace, machine_name, nats, redis } = given;
  if (!isName(namespace)) throw new SettingsError(`--namespace ${NAME_RULE}`);
  if (machine_name !== "" && !isName(machine_name)) {
    throw new SettingsError(`--machine-name ${NAME_RULE}`);
  }
  if ((nats === "") !== (redis === "")) {
    const [given, missing] = nats === "" ? ["--redis", "--nats"] : ["--nats", "--redis"];
    throw new SettingsError(
      `${given} needs ${missing} too: NATS carries what machines say to each other, Redis their names`,
    );
  }
  if (nats === "" && role !== "all") {
    throw new SettingsError(`--role ${role} joins a cluster: name it by --nats and --redis`);
  }
  try {
    if (nats !== "") [planeUrls(nats, natsSchemes), planeUrl(redis, redisSchemes)];
  } catch (error) {
    throw new SettingsError(errorText(error));
  }
  return { role, namespace, machine_name, planes: nats === "" ? undefined : { nats, redis } };
}

/** A URL as a person may see it. */
export const hiddenUrl = (url: string) => url.replace(/\/\/[^@/]*@/g, "//<hidden>@");
