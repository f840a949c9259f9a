/** How routers choose a worker, as figures that can be changed while they run. */
import { useEffect, useState } from "preact/hooks";
import { confirmAct } from "../../act/act.ts";
import { getJson } from "../../data/http.ts";
import { Button } from "../../ui/button.tsx";
import { Chip } from "../../ui/chip.tsx";
import { Empty, Panel } from "../../ui/parts.tsx";
import { weightWords } from "../shared/router-words.ts";
import { setWeights, type Weights } from "./cluster-plans.ts";

/** Differences of decimals have a long tail, which nobody wants to read. */
const rounded = (weights: Weights): Weights =>
  Object.fromEntries(
    Object.entries(weights).map(([name, value]) => [name, Number(value.toPrecision(6))]),
  );

type RouterPage = { readonly mode: string; readonly policy?: string; readonly weights: Weights };

const modeOf = ({ mode, policy }: RouterPage) =>
  policy === undefined ? mode : `${mode}, ${policy}`;

export function RouterPanel({ mayAct }: { mayAct: boolean }) {
  const [router, setRouter] = useState<RouterPage>();
  const [failure, setFailure] = useState<string>();
  const [edited, setEdited] = useState<Weights>({});
  const read = async () => {
    try {
      const page = await getJson<RouterPage>("/api/router");
      setRouter({ ...page, weights: rounded(page.weights) });
      setFailure(undefined);
    } catch (error) {
      setFailure((error as Error).message);
    }
  };
  useEffect(() => void read(), []);
  const names = Object.keys(router?.weights ?? {});
  const changed = Object.fromEntries(
    Object.entries(edited).filter(([name, value]) => value !== router?.weights[name]),
  );
  const hasChange = Object.keys(changed).length > 0;
  const isGood = Object.values(changed).every(Number.isFinite);
  const apply = async () => {
    if (!(await confirmAct(setWeights(changed)))) return;
    setEdited({});
    await read();
  };
  return (
    <Panel
      title="Router"
      actions={router && <Chip title="Router mode and policy">{modeOf(router)}</Chip>}
    >
      {names.length === 0 ? (
        <Empty icon="operate" title="No weights to change">
          {failure ?? "The router's mode looks at load alone, and has no weights."}
        </Empty>
      ) : (
        <form
          class="panel-body operate-weights"
          onSubmit={(event) => {
            event.preventDefault();
            void apply();
          }}
        >
          {names.map((name) => (
            <Weight
              key={name}
              name={name}
              now={router?.weights[name] ?? 0}
              value={edited[name]}
              disabled={!mayAct}
              onChange={(value) => setEdited({ ...edited, [name]: value })}
            />
          ))}
          {mayAct && (
            <footer>
              <Button kind="quiet" disabled={!hasChange} onClick={() => setEdited({})}>
                Reset
              </Button>
              <Button type="submit" kind="primary" disabled={!hasChange || !isGood}>
                Change weights
              </Button>
            </footer>
          )}
        </form>
      )}
    </Panel>
  );
}

type WeightProps = {
  readonly name: string;
  readonly now: number;
  readonly value: number | undefined;
  readonly disabled: boolean;
  readonly onChange: (value: number) => void;
};

function Weight({ name, now, value = now, disabled, onChange }: WeightProps) {
  const isChanged = value !== now;
  return (
    <label class="field" title={weightWords[name]}>
      <span>{name.replaceAll("_", " ")}</span>
      <input
        class="input"
        type="number"
        step="any"
        value={value}
        disabled={disabled}
        onInput={(event) => onChange(event.currentTarget.valueAsNumber)}
      />
      {isChanged && <small>~ was {now}</small>}
    </label>
  );
}
