/** Whom an actor knows, how it ended before, what never reached it. */
import { tree } from "../../data/tree.ts";
import type { ActorPage, TreeRow } from "../../data/types.ts";
import { hrefOf } from "../../shell/route.ts";
import { Chip } from "../../ui/chip.tsx";
import { ago, clockTime, count } from "../../ui/format.ts";
import { Panel, Table } from "../../ui/parts.tsx";

/** Longer lists say how many more there are. */
const LISTED = 40;

type RelationsProps = {
  readonly page: ActorPage | undefined;
  readonly row: TreeRow | undefined;
};

export function Relations({ page, row }: RelationsProps) {
  const relations = page?.relations;
  const id = page?.id ?? row?.id ?? "";
  const parent = relations?.parent ?? tree.parentOf(id) ?? null;
  const children = relations?.children ?? row?.children ?? [];
  return (
    <Panel title="Relations">
      <dl class="relations">
        <Relation title="Parent" ids={parent === null ? [] : [parent]} />
        <Relation title="Children" ids={children} />
        <Relation title="Monitors" ids={relations?.monitors ?? []} />
        <dt>Watched by</dt>
        <dd>{count(relations?.watchers)}</dd>
      </dl>
    </Panel>
  );
}

function Relation({ title, ids }: { title: string; ids: readonly string[] }) {
  return (
    <>
      <dt>{title}</dt>
      <dd>
        {ids.length === 0 && "none"}
        {ids.slice(0, LISTED).map((id) => (
          <a key={id} href={hrefOf("actor", id)} title={id}>
            {id}
          </a>
        ))}
        {ids.length > LISTED && <span>and {count(ids.length - LISTED)} more</span>}
      </dd>
    </>
  );
}

type CrashesProps = { readonly page: ActorPage | undefined; readonly last: string | undefined };

export function Crashes({ page, last }: CrashesProps) {
  const crashes = (page?.crashes ?? []).toSorted((a, b) => b.at_ms - a.at_ms);
  const now_ms = Date.now();
  return (
    <Panel title={`Crashes (${count(crashes.length)})`}>
      {crashes.length === 0 ? (
        <p class="none">{last === undefined ? "It has never crashed." : `The last one: ${last}`}</p>
      ) : (
        <ul class="crashes">
          {crashes.map(({ at_ms, context, reason, stack, restarts }) => (
            <li key={`${at_ms} ${restarts}`}>
              <p>
                <time title={clockTime(at_ms)}>{ago(at_ms, now_ms)}</time>
                <Chip tone="bad">✕ {context.replaceAll("_", " ")}</Chip>
                {restarts > 0 && <span>after {count(restarts)} restarts</span>}
              </p>
              <p class="crash-reason">{reason}</p>
              {stack !== undefined && (
                <details>
                  <summary>Where it happened</summary>
                  <pre class="crash-text">{stack}</pre>
                </details>
              )}
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

export function DeadLetters({ page }: { page: ActorPage | undefined }) {
  const letters = (page?.dead_letters ?? []).map((letter, nth) => ({ ...letter, nth })).reverse();
  return (
    <Panel title={`Dead letters (${count(letters.length)})`}>
      {letters.length === 0 ? (
        <p class="none">Every message to it has reached it.</p>
      ) : (
        <Table
          label="Messages that did not reach it"
          rows={letters}
          keyOf={({ nth }) => String(nth)}
          columns={[
            { title: "When", cell: ({ at_ms }) => clockTime(at_ms) },
            { title: "Message", cell: ({ kind }) => <code>{kind}</code> },
            { title: "Why", cell: ({ why }) => why },
          ]}
        />
      )}
    </Panel>
  );
}
