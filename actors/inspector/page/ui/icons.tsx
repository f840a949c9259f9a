/** Icons. */
import { type IconName, PATHS } from "./icon-paths.ts";

export type { IconName };

/** Decoration: what it stands for is said in text beside it, or by the button's label. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
