/** Signals that end a command, which says so and what it has until then. */

/** As shells have it for an end by Ctrl-C. */
export const STOPPED_CODE = 130;

/** `stopped` is called once; a second signal ends the process at once. */
export function onSignal(stopped: (signal: NodeJS.Signals) => void): void {
  let told = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (told) process.exit(STOPPED_CODE);
      told = true;
      stopped(signal);
    });
  }
}
