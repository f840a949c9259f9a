/** The frame of the page: what stands above and beside each view. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ActDialog } from "../act/dialog.tsx";
import { config } from "../data/config.ts";
import { live } from "../data/feed.ts";
import type { Link } from "../data/live.ts";
import { me } from "../data/me.ts";
import { useStore } from "../data/use-store.ts";
import { Button } from "../ui/button.tsx";
import { Icon, type IconName } from "../ui/icons.tsx";
import { Empty } from "../ui/parts.tsx";
import { Toasts } from "../ui/toast.tsx";
import { type View, views } from "../views/views.ts";
import { KeysDialog, showKeys, useKeys } from "./keys.tsx";
import { hrefOf, place } from "./route.ts";
import { nextTheme, type Theme, theme } from "./theme.ts";

const served = views.filter(({ modes = ["inspector"] }) => modes.includes(config.mode));
const listed = served.filter(({ hidden }) => hidden !== true);

export function App() {
  const { view: id, rest } = useStore(place);
  const view = served.find((each) => each.id === id);
  const main = useRef<HTMLElement>(null);
  useKeys(listed.map((each) => each.id));
  useEffect(() => {
    document.title = view === undefined ? "Troupe" : `${view.title} – Troupe`;
    main.current?.scrollTo(0, 0);
  }, [view]);
  return (
    <div class={listed.length > 1 ? "app" : "app alone"}>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <TopBar />
      {listed.length > 1 && <Navigation current={view?.within ?? id} />}
      <main id="main" ref={main} tabIndex={-1}>
        <LostNote />
        {view === undefined ? (
          <Empty icon="search" title="There is no such view">
            <a href={hrefOf(listed[0]?.id ?? "tree")}>Go to {listed[0]?.title}</a>
          </Empty>
        ) : (
          <view.component key={view.id} rest={rest} />
        )}
      </main>
      <KeysDialog />
      <ActDialog />
      <Toasts />
    </div>
  );
}

function Navigation({ current }: { current: string }) {
  const box = useRef<HTMLElement>(null);
  // On a phone not all of them fit.
  useEffect(() => {
    const chosen = box.current?.querySelector(`[href="${hrefOf(current)}"]`);
    chosen?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [current]);
  return (
    <nav ref={box} class="nav" aria-label="Views">
      <ul>
        {listed.map((view, i) => (
          <NavigationItem key={view.id} view={view} nth={i + 1} isCurrent={view.id === current} />
        ))}
      </ul>
    </nav>
  );
}

type ItemProps = { readonly view: View; readonly nth: number; readonly isCurrent: boolean };

function NavigationItem({ view, nth, isCurrent }: ItemProps) {
  return (
    <li>
      <a href={hrefOf(view.id)} aria-current={isCurrent ? "page" : undefined}>
        <Icon name={view.icon} />
        <span>{view.title}</span>
        <small aria-hidden="true">{nth}</small>
      </a>
    </li>
  );
}

const themeLooks: Readonly<Record<Theme, { readonly icon: IconName; readonly text: string }>> = {
  auto: { icon: "auto", text: "Theme: as the system is" },
  light: { icon: "sun", text: "Theme: light" },
  dark: { icon: "moon", text: "Theme: dark" },
};

function TopBar() {
  const who = useStore(me);
  const { icon, text } = themeLooks[useStore(theme)];
  return (
    <header class="top">
      <a class="brand" href={hrefOf(listed[0]?.id ?? "tree")}>
        <Mark />
        Troupe
      </a>
      {who !== undefined && (
        <p class="where">
          <span title="Namespace">{who.namespace}</span>
          {who.machine !== "" && <span title="Machine">{who.machine}</span>}
          <span title="Version">{who.version}</span>
          {who.read_only && <span title="Started with --inspector-read-only">read only</span>}
        </p>
      )}
      <div class="top-right">
        {config.mode === "inspector" ? <LinkState /> : <InspectorLink />}
        <Button icon={icon} kind="quiet" label={text} onClick={nextTheme} />
        <Button icon="keys" kind="quiet" label="Keys (?)" onClick={showKeys} />
      </div>
    </header>
  );
}

/** Three nodes under one: a supervisor and its children. */
function Mark() {
  return (
    <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true" class="mark">
      <path d="M10 6v3M4 14v-2.5q0-2.5 2.5-2.5h7q2.5 0 2.5 2.5V14M10 9v5" />
      <circle cx="10" cy="4" r="2.4" />
      <circle cx="4" cy="16" r="2" />
      <circle cx="10" cy="16" r="2" />
      <circle cx="16" cy="16" r="2" />
    </svg>
  );
}

const links: Readonly<Record<Link, readonly [shape: string, text: string, title: string]>> = {
  idle: ["○", "idle", "This view needs nothing from the feed"],
  connects: ["◔", "connects", "Connects to the inspector"],
  live: ["●", "live", "Changes come as they happen"],
  asks: ["◐", "every 2 s", "The live feed cannot be had; the page asks instead"],
  lost: ["✕", "lost", "The inspector does not answer; the page tries again"],
};

/** A connection that is back sooner is not worth a word. */
const LOST_MS = 1_500;

/** What stands below is of before: nobody should take it for what is. */
function LostNote() {
  const lost = useStore(live.link) === "lost";
  const [long, setLong] = useState(false);
  useEffect(() => {
    setLong(false);
    const timer = lost ? setTimeout(() => setLong(true), LOST_MS) : undefined;
    return () => clearTimeout(timer);
  }, [lost]);
  if (!lost || !long) return null;
  return (
    <p class="lost-note" role="alert">
      <Icon name="warning" />
      The inspector does not answer: the cluster was stopped, or its connection was lost. What this
      page shows is not up to date. It tries again by itself.
    </p>
  );
}

function LinkState() {
  const link = useStore(live.link);
  // Nothing is asked for, which says nothing of the cluster.
  if (link === "idle") return null;
  const [shape, text, title] = links[link];
  return (
    <span class={`link-state ${link}`} role="status" title={title}>
      <i aria-hidden="true">{shape}</i>
      {text}
    </span>
  );
}

/** The inspector may listen on all addresses: then it is where this page came from. */
function InspectorLink() {
  const url = config.inspector === null ? null : URL.parse(config.inspector);
  if (url === null) return null;
  if (["0.0.0.0", "[::]"].includes(url.hostname)) url.hostname = location.hostname;
  return (
    <a class="button quiet" href={url.href}>
      <Icon name="tree" />
      <span>Inspector</span>
    </a>
  );
}
