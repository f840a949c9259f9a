/** One actor: its state, what it did lately and with which effect, whom it knows, how it failed. */
import { ActButtons } from "../../act/buttons.tsx";
import { tree, treeVersion } from "../../data/tree.ts";
import type { ActorPage, TreeRow } from "../../data/types.ts";
import { useStore } from "../../data/use-store.ts";
import { hrefOf } from "../../shell/route.ts";
import { CopyButton } from "../../ui/button.tsx";
import { Chip, State } from "../../ui/chip.tsx";
import { bytes, count, duration, nameOf, rate, titleOf } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { JsonTree } from "../../ui/json-tree.tsx";
import { Empty, Panel, Stat, Stats } from "../../ui/parts.tsx";
import type { ViewProps } from "../view.ts";
import { useActorPage, useChanges, useHistory } from "./actor-data.ts";
import { HistoryPanel } from "./history-panel.tsx";
import { Crashes, DeadLetters, Relations } from "./records.tsx";
import "./actor.css";

export function ActorView({ rest }: ViewProps) {
  if (rest === "") {
    return (
      <Empty icon="tree" title="No actor is chosen">
        <a href={hrefOf("tree")}>Choose one in the tree.</a>
      </Empty>
    );
  }
  return <OneActor key={rest} id={rest} />;
}

function OneActor({ id }: { id: string }) {
  useStore(treeVersion);
  const { page, failure } = useActorPage(id);
  const history = useHistory(id);
  const row = tree.get(id) ?? page?.row;
  const isGone = failure !== undefined;
  if (page === undefined && row === undefined) {
    return isGone ? (
      <Empty icon="warning" title="There is no such actor now">
        {failure}. It may have ended, or be on its way back.{" "}
        <a href={hrefOf("tree")}>Back to the tree</a>
      </Empty>
    ) : (
      <Empty icon="tree" title="Looks inside">
        {id}
      </Empty>
    );
  }
  return (
    <div class="view actor-view">
      <Head id={id} row={row} />
      {isGone && (
        <p class="actor-gone" role="status">
          <Icon name="warning" />
          {failure}. What stands here was true before.
        </p>
      )}
      {row && <Figures row={row} />}
      {row && <ActButtons row={row} />}
      <div class="actor-columns">
        <HistoryPanel history={history} kind={row?.kind ?? "actor"} />
        <StatePanel page={page} latest={history.entries.at(-1)?.after} />
      </div>
      <div class="actor-columns even">
        <Relations page={page} row={row} />
        <Crashes page={page} last={row?.last_crash} />
        <DeadLetters page={page} />
      </div>
    </div>
  );
}

/** The way from the top, each part a link. */
function Head({ id, row }: { id: string; row: TreeRow | undefined }) {
  const way: string[] = [];
  for (let parent = tree.parentOf(id); parent !== undefined; parent = tree.parentOf(parent)) {
    way.unshift(parent);
  }
  return (
    <header class="actor-head">
      <nav aria-label="Where it hangs">
        <a href={hrefOf("tree")}>Tree</a>
        {way.map((each) => (
          <a key={each} href={hrefOf("actor", each)}>
            {nameOf(each)}
          </a>
        ))}
      </nav>
      <div class="view-head">
        <h1>{titleOf(id)}</h1>
        {row && <State state={row.state} />}
        {row && <Chip>{row.kind}</Chip>}
        {row && row.role !== nameOf(id) && <Chip title="Role">{row.role}</Chip>}
        {row && row.pid > 0 && <Chip title="Process id">pid {row.pid}</Chip>}
        <span class="actor-id mono">{id}</span>
        <CopyButton text={() => id}>Copy id</CopyButton>
      </div>
    </header>
  );
}

function Figures({ row }: { row: TreeRow }) {
  const { mailbox, oldest_ms = 0, restarts, resident_bytes } = row;
  return (
    <Stats>
      <Stat label="Mailbox" value={count(mailbox)} tone={mailbox >= 100 ? "warn" : undefined} />
      <Stat label="Oldest" value={mailbox === 0 ? "–" : duration(oldest_ms)} />
      <Stat label="Messages/s" value={rate(row.rate)} />
      <Stat label="Time a message" value={duration(row.ms_per_message)} />
      <Stat label="Handled" value={count(row.handled)} />
      <Stat label="Restarts" value={count(restarts)} tone={restarts > 0 ? "warn" : undefined} />
      {resident_bytes !== undefined && <Stat label="Memory" value={bytes(resident_bytes)} />}
    </Stats>
  );
}

type StateProps = {
  readonly page: ActorPage | undefined;
  readonly latest: ActorPage["snapshot"] | undefined;
};

function StatePanel({ page, latest }: StateProps) {
  const { now, was } = useChanges(latest ?? page?.snapshot);
  return (
    <Panel
      title="State"
      actions={now !== undefined && <CopyButton text={() => JSON.stringify(now, null, 2)} />}
    >
      {now === undefined || now === null ? (
        <Empty icon="info" title="It shows no state">
          An actor shows here what its <code>inspect()</code> returns.
        </Empty>
      ) : (
        <div class="panel-body state-body">
          <JsonTree value={now} before={was} />
          <p class="legend">
            <span>+ came</span>
            <span>~ changed</span>
            <span>− went</span>
          </p>
        </div>
      )}
    </Panel>
  );
}
