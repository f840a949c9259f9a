/** Icons, drawn on a grid of 16 with one stroke. */

const PATHS = {
  tree: "M2.5 3h4M4.5 3v9.5H9M4.5 7.5H9M11 7.5h2.5M11 12.5h2.5",
  requests: "M2 3.5h5M4 8h7M8 12.5h6",
  kv: "M2.5 2.5h4v4h-4zM9.5 2.5h4v4h-4zM2.5 9.5h4v4h-4zM9.5 9.5h4v4h-4z",
  load: "M2 13.5h12M3.5 11V8M6.5 11V4M9.5 11V6.5M12.5 11V2.5",
  planner: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 4.8V8l2.4 1.6",
  chat: "M2.5 3h11v8H8l-3.2 2.6V11H2.5z",
  operate: "M3 4.5h5M11 4.5h2M3 11.5h2M8 11.5h5M9.5 3v3M6.5 10v3",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9M10.4 10.4 14 14",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.1 1.1M11.9 11.9 13 13M3 13l1.1-1.1M11.9 4.1 13 3",
  moon: "M13.5 9.8A5.8 5.8 0 0 1 6.2 2.5a5.8 5.8 0 1 0 7.3 7.3z",
  auto: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 2v12M8 5h4M8 8h6M8 11h4",
  keys: "M1.5 4h13v8h-13zM4 6.8h.01M6.7 6.8h.01M9.3 6.8h.01M12 6.8h.01M5 9.6h6",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  right: "M6 3.5 10.5 8 6 12.5",
  left: "M10 3.5 5.5 8l4.5 4.5",
  down: "M3.5 6 8 10.5 12.5 6",
  up: "M3.5 10 8 5.5l4.5 4.5",
  first: "M12 3.5 7.5 8l4.5 4.5M4 3.5v9",
  last: "M4 3.5 8.5 8 4 12.5M12 3.5v9",
  play: "M4.5 2.8v10.4L13 8z",
  pause: "M5 3v10M11 3v10",
  stop: "M3.5 3.5h9v9h-9z",
  restart: "M13 3v3.6H9.4M12.7 6.6A5.2 5.2 0 1 0 13 9.8",
  kill: "M8.8 1.5 3 9h4.2L6.4 14.5 13 6.5H8.4z",
  drain: "M2.5 3h11L9.6 8.2v5.3l-3.2-1.6V8.2z",
  swap: "M3 5.5h9L9.5 3M13 10.5H4L6.5 13",
  freeze: "M8 1.5v13M2.4 4.8l11.2 6.4M13.6 4.8 2.4 11.2",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  undo: "M3 3v3.6h3.6M3.3 6.6A5.2 5.2 0 1 1 3 9.8",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  export: "M8 10V2M5 4.8 8 2l3 2.8M3 9.5v4h10v-4",
  link: "M9 3h4v4M13 3 7.5 8.5M11 9.5V13H3V5h3.5",
  check: "M3 8.5 6.5 12 13 4.5",
  warning: "M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 7.3v3.6M8 5v.1",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
} as const;

export type IconName = keyof typeof PATHS;

/** Decoration: what it stands for is said in text beside it, or by the button's label. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
