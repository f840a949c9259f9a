/** Waits for all of them, but no longer than that: who is slow holds up nobody. */
import type { Clock } from "../../../../runtime/capabilities.ts";

/** None of `all` may reject. */
export async function within(
  clock: Clock,
  most_ms: number,
  all: readonly Promise<void>[],
): Promise<void> {
  let end = () => {};
  const late = new Promise<void>((resolve) => {
    end = resolve;
  });
  const timer = clock.after(most_ms, end);
  await Promise.race([Promise.all(all), late]);
  clock.cancel(timer);
}
