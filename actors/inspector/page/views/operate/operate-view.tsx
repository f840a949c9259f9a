/** Acting on the cluster as a whole: workers, router, faults, its configuration, and the log. */
import { useEffect, useState } from "preact/hooks";
import type { Act } from "../../../acts/act-log.ts";
import { acts, confirmAct, readActs, undoAct } from "../../act/act.ts";
import { actionsFor, workerOf } from "../../act/actions.ts";
import { TokenField } from "../../act/dialog.tsx";
import { useFrames, useWants } from "../../data/feed.ts";
import { getJson, getText } from "../../data/http.ts";
import { me, showsActs } from "../../data/me.ts";
import { useTree } from "../../data/tree.ts";
import type { ActsFrame, TreeRow } from "../../data/types.ts";
import { useStore } from "../../data/use-store.ts";
import { hrefOf } from "../../shell/route.ts";
import { Button, CopyButton } from "../../ui/button.tsx";
import { Chip, State } from "../../ui/chip.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { bytes, clockTime, count } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { type Column, Empty, Panel, Table } from "../../ui/parts.tsx";
import { toast } from "../../ui/toast.tsx";
import { addWorkers, type WorkersPage } from "./cluster-plans.ts";
import { RouterPanel } from "./router-panel.tsx";
import "./operate.css";

export function OperateView() {
  const who = useStore(me);
  const mayAct = showsActs(who);
  return (
    <div class="view">
      <div class="view-head">
        <h1>Operate</h1>
        <ExportButton />
      </div>
      {who !== undefined && !mayAct && (
        <p class="operate-note">
          <Icon name="info" />
          {who.read_only
            ? "The cluster was started with --inspector-read-only: this page shows, and changes nothing."
            : "This page may not act here."}
        </p>
      )}
      {mayAct && who?.token_needed && (
        <Panel title="Token">
          <div class="panel-body operate-token">
            <TokenField />
          </div>
        </Panel>
      )}
      <ProcessPanel mayAct={mayAct} />
      <RouterPanel mayAct={mayAct} />
      <LogPanel mayAct={mayAct} />
    </div>
  );
}

/** The settings as they are now, workers and weights among them. */
function ExportButton() {
  const [text, setText] = useState<string>();
  const show = async () => {
    try {
      setText(await getText("/api/config"));
    } catch (error) {
      toast({ tone: "bad", text: (error as Error).message });
    }
  };
  return (
    <>
      <Button icon="export" onClick={() => void show()}>
        Export configuration
      </Button>
      {text !== undefined && (
        <Dialog title="Configuration" wide onClose={() => setText(undefined)}>
          <p>
            The cluster as it is now, for <code>bun run cluster --config FILE</code>.
          </p>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keys */}
          <pre class="operate-yaml" tabIndex={0}>
            {text}
          </pre>
          <footer>
            <CopyButton text={() => text}>Copy</CopyButton>
            <a
              class="button primary"
              download="troupe.yaml"
              href={`data:text/yaml;charset=utf-8,${encodeURIComponent(text)}`}
            >
              <Icon name="export" />
              <span>Download</span>
            </a>
          </footer>
        </Dialog>
      )}
    </>
  );
}

function ProcessPanel({ mayAct }: { mayAct: boolean }) {
  const model = useTree();
  const processes = [...model.rows()].filter(({ kind }) => kind === "process");
  const columns: readonly Column<TreeRow>[] = [
    {
      title: "Process",
      cell: (row) => (
        <a href={hrefOf("actor", row.id)}>
          {workerOf(row) ?? /([^/]+)\/process$/.exec(row.path)?.[1] ?? row.path}
        </a>
      ),
    },
    { title: "Role", cell: ({ role }) => <Chip>{role}</Chip> },
    { title: "State", cell: ({ state }) => <State state={state} /> },
    { title: "Pid", cell: ({ pid }) => (pid > 0 ? pid : "–"), figure: true },
    { title: "Memory", cell: ({ resident_bytes }) => bytes(resident_bytes), figure: true },
    { title: "Restarts", cell: ({ restarts }) => count(restarts), figure: true },
    ...(mayAct ? [{ title: "Actions", cell: (row: TreeRow) => <RowActs row={row} /> }] : []),
  ];
  return (
    <Panel
      title="Processes"
      actions={
        mayAct && (
          <Button icon="plus" onClick={() => void add()}>
            Add workers
          </Button>
        )
      }
    >
      {processes.length === 0 ? (
        <Empty icon="tree" title="No process yet">
          They are listed as soon as the tree is known.
        </Empty>
      ) : (
        <Table label="Processes" columns={columns} rows={processes} keyOf={({ id }) => id} />
      )}
    </Panel>
  );
}

async function add(): Promise<void> {
  try {
    await confirmAct(addWorkers(await getJson<WorkersPage>("/api/workers")));
  } catch (error) {
    toast({ tone: "bad", text: (error as Error).message });
  }
}

/** As icons, other than what a worker may become: a row has eight of them. */
function RowActs({ row }: { row: TreeRow }) {
  return (
    <span class="operate-acts">
      {actionsFor(row).map((plan) => (
        <Button
          key={plan.verb}
          icon={plan.icon}
          kind="quiet"
          label={`${plan.verb}: ${plan.target}`}
          onClick={() => void confirmAct(plan)}
        >
          {plan.short}
        </Button>
      ))}
    </span>
  );
}

/** As the buttons say it. */
const whatWords: Readonly<Record<string, string>> = { kill9: "kill -9" };

function LogPanel({ mayAct }: { mayAct: boolean }) {
  useWants({ topics: ["acts"] });
  useFrames("acts", (frame) => {
    acts.set((frame as ActsFrame).acts.toSorted((a, b) => b.at_ms - a.at_ms));
  });
  useEffect(() => void readActs(), []);
  const all = useStore(acts);
  const columns: readonly Column<Act>[] = [
    { title: "When", cell: ({ at_ms }) => <time>{clockTime(at_ms)}</time> },
    { title: "What", cell: ({ what }) => whatWords[what] ?? what },
    { title: "To", cell: ({ target }) => <span class="mono">{target}</span> },
    { title: "Who", cell: ({ who }) => who },
    { title: "Outcome", cell: (act) => <Outcome act={act} /> },
    {
      title: "",
      cell: (act) =>
        mayAct && act.undo !== null && act.undone_by === undefined ? (
          <Button icon="undo" onClick={() => void undoAct(act)}>
            Undo
          </Button>
        ) : null,
    },
  ];
  return (
    <Panel title="Log of actions">
      {all.length === 0 ? (
        <Empty icon="operate" title="Nobody has acted yet">
          What is done to the cluster from here or over the inspector's API is listed, newest first.
        </Empty>
      ) : (
        <Table label="Log of actions" columns={columns} rows={all} keyOf={({ id }) => id} />
      )}
    </Panel>
  );
}

function Outcome({ act: { done, error, undone_by } }: { act: Act }) {
  if (error !== undefined) return <span class="state bad">✕ {error}</span>;
  if (undone_by !== undefined) return <span>↶ undone</span>;
  return done ? <span class="state good">✓ done</span> : <span class="state warn">◔ goes on</span>;
}
