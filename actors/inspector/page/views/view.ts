/** What a view is to the frame. */
import type { ComponentType } from "preact";
import type { PageConfig } from "../data/config.ts";
import type { IconName } from "../ui/icons.tsx";

export type ViewProps = {
  /** What stands behind the view's name in the address, decoded: an id, or nothing. */
  readonly rest: string;
};

export type View = {
  /** Its name in the address. */
  readonly id: string;
  readonly title: string;
  readonly icon: IconName;
  readonly component: ComponentType<ViewProps>;
  /** Where it is served; without it in the inspector alone. */
  readonly modes?: readonly PageConfig["mode"][];
  /** Not in the navigation: another view leads to it. */
  readonly hidden?: boolean;
  /** The entry of the navigation that is marked while it is shown. */
  readonly within?: string;
};
