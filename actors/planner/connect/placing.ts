/** Which machine gets how many of the workers that a change adds. Pure. */
export type MachineRoom = {
  readonly machine: string;
  readonly cores: number;
  /** Of all models. */
  readonly workers: number;
  /** What this change was given here before; these stay here. */
  readonly asked: number;
  /** It may get some. */
  readonly able: boolean;
};

/**
 * One after the other, each to the machine with the fewest workers a core. Machines that get none
 * are left out; empty: none can get any.
 */
export function placed(machines: readonly MachineRoom[], count: number): Map<string, number> {
  const shares = new Map<string, number>();
  const rooms = machines.map((each) => ({ ...each, has: each.workers }));
  let left = count;
  for (const { machine, asked } of machines) {
    if (asked === 0) continue;
    shares.set(machine, asked);
    left -= asked;
  }
  // A machine that was given a share is asked for the same again, not for more.
  const able = rooms.filter((each) => each.able && each.asked === 0);
  for (; left > 0 && able.length > 0; left--) {
    const [roomiest] = able.sort((a, b) => load(a) - load(b) || (a.machine < b.machine ? -1 : 1));
    if (roomiest === undefined) break;
    roomiest.has += 1;
    shares.set(roomiest.machine, (shares.get(roomiest.machine) ?? 0) + 1);
  }
  return shares;
}

/** With one more. */
const load = ({ has, cores }: { readonly has: number; readonly cores: number }): number =>
  (has + 1) / Math.max(1, cores);
