/**
 * The `TROUPE_*` names of an environment: which are settings, which are this program's own, which
 * Kubernetes sets, and which are probably misspelled.
 */
import { environmentTwin, flags } from "./flags.ts";
import { nearestName } from "./nearest-name.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Names that the program, its tests and benchmarks read; a test keeps the list complete. */
export const internalNames: readonly RegExp[] = [
  /^TROUPE_(BOOT|NODE|EPOCH|LINE|FAULTS|CC)$/,
  /^TROUPE_(BINARY|TEST_MODEL|E2E_MODEL|PEERS_CACHE|VOCABULARIES|ROOM_RUNS)$/,
  /^TROUPE_BENCH_/,
];

const twins: ReadonlySet<string> = new Set(
  flags
    .filter((flag) => !flag.not_in?.includes("environment"))
    .map((flag) => environmentTwin(flag.name)),
);

/**
 * What Kubernetes sets in every container beside a service whose name begins with "troupe":
 * TROUPE_SERVICE_HOST, TROUPE_PORT=tcp://10.0.0.1:8000, TROUPE_PORT_8000_TCP_ADDR and so on
 * (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
 */
export function isServiceLink(name: string, value: string): boolean {
  if (/^TROUPE_(.+_)?SERVICE_(HOST|PORT)(_|$)/.test(name)) return true;
  if (/^TROUPE_(.+_)?PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)) return true;
  return /^TROUPE_(.+_)?PORT$/.test(name) && /^(tcp|udp|sctp):\/\//i.test(value);
}

/**
 * Lines for a person, each about a variable that is set and does nothing. They are no errors, as
 * the name may be another program's.
 * @param open /v1 asks for no key
 */
export function environmentWarnings(env: Environment, open: boolean): string[] {
  const warnings: string[] = [];
  for (const name of Object.keys(env).sort()) {
    if (!name.startsWith("TROUPE_")) continue;
    const value = env[name] ?? "";
    if (isServiceLink(name, value)) {
      if (twins.has(name)) warnings.push(serviceLinkWarning(name, value));
    } else if (!twins.has(name) && !internalNames.some((own) => own.test(name))) {
      warnings.push(unknownWarning(name, open));
    }
  }
  return warnings;
}

function unknownWarning(name: string, open: boolean): string {
  const near = nearestName(name, twins) ?? nearestByWords(name);
  const hint = near === undefined ? "--help lists the settings" : `did you mean ${near}?`;
  const danger = open && near?.startsWith(keyTwin) ? " Everybody may use /v1 without a key." : "";
  return `${name} is not a setting and does nothing; ${hint}${danger}`;
}

const keyTwin = environmentTwin("api-key");

/** The twin with the most words in common, if more than half of both are: one word is missing. */
function nearestByWords(name: string): string | undefined {
  const words = wordsOf(name);
  let best: string | undefined;
  let best_share = 0.5;
  for (const twin of twins) {
    const theirs = wordsOf(twin);
    const common = words.filter((word) => theirs.includes(word)).length;
    const share = common / Math.max(words.length, theirs.length);
    if (share > best_share) [best, best_share] = [twin, share];
  }
  return best;
}

const wordsOf = (name: string) => name.split("_").slice(1);

const serviceLinkWarning = (name: string, value: string) =>
  `${name}=${value} is what Kubernetes sets for a service of that name, not a setting: it is ` +
  "ignored; give the flag instead, or enableServiceLinks: false in the pod";
