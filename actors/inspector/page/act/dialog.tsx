/** The one dialog that stands before every act. */
import { useEffect, useState } from "preact/hooks";
import { HttpError } from "../data/http.ts";
import { me, needsToken } from "../data/me.ts";
import { setToken, token } from "../data/token.ts";
import { useStore } from "../data/use-store.ts";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icons.tsx";
import { Field, Select } from "../ui/parts.tsx";
import { toast } from "../ui/toast.tsx";
import { asked, perform, settle } from "./act.ts";
import type { Plan, PlanField } from "./plan.ts";
import "./act.css";

export function ActDialog() {
  const plan = useStore(asked);
  return plan === undefined ? null : <Confirm key={`${plan.verb} ${plan.path}`} plan={plan} />;
}

function Confirm({ plan }: { plan: Plan }) {
  const { verb, target, says, danger, field, choices = [] } = plan;
  const [value, setValue] = useState(field?.value ?? 0);
  const [chosen, setChosen] = useState(() =>
    Object.fromEntries(choices.map(({ name, options }) => [name, options[0]?.[0] ?? ""])),
  );
  const [failure, setFailure] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const [isRefused, setRefused] = useState(false);
  const who = useStore(me);
  useStore(token);
  const asksToken = needsToken(who) || isRefused;
  const run = async () => {
    setBusy(true);
    setFailure(undefined);
    try {
      await perform(plan, { value, chosen });
      // By then it may be another plan's dialog.
      if (asked.value === plan) settle(true);
    } catch (error) {
      const { message } = error as Error;
      if (asked.value !== plan) toast({ tone: "bad", text: `${verb}, ${target}: ${message}` });
      setFailure(message);
      if (error instanceof HttpError && error.status === 401) setRefused(true);
    }
    setBusy(false);
  };
  return (
    <Dialog title={`${verb}: ${target}`} onClose={() => settle(false)}>
      <form
        class="act-form"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <h3>What will happen</h3>
        <ul>
          {says.map((sentence) => (
            <li key={sentence}>{sentence}</li>
          ))}
        </ul>
        {choices.map(({ name, label, options }) => (
          <Field key={name} label={label}>
            <Select
              label={label}
              value={chosen[name] ?? ""}
              options={options}
              onChange={(picked) => setChosen({ ...chosen, [name]: picked })}
            />
          </Field>
        ))}
        {field && <FieldOf field={field} value={value} onChange={setValue} />}
        {asksToken && <TokenField />}
        {failure !== undefined && (
          <p class="act-failure" role="alert">
            <Icon name="warning" />
            {failure}
          </p>
        )}
        <footer>
          <Button onClick={() => settle(false)}>{isBusy ? "Close, it goes on" : "Cancel"}</Button>
          <Button
            type="submit"
            icon={plan.icon}
            kind={danger ? "danger" : "primary"}
            disabled={isBusy || !isInside(field, value)}
          >
            {verb}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

const isInside = (field: PlanField | undefined, value: number): boolean =>
  field === undefined || (value >= field.min && value <= field.max);

type FieldProps = {
  readonly field: PlanField;
  readonly value: number;
  readonly onChange: (value: number) => void;
};

function FieldOf({ field, value, onChange }: FieldProps) {
  return (
    <label class="act-field">
      <span>{field.label}</span>
      <input
        class="input"
        type="number"
        min={field.min}
        max={field.max}
        value={value}
        onInput={(event) => onChange(event.currentTarget.valueAsNumber)}
      />
      {field.unit}
    </label>
  );
}

/** The token is for this tab alone, and is sent with what acts. */
export function TokenField() {
  const [text, setText] = useState(token.value);
  useEffect(() => setToken(text), [text]);
  return (
    <label class="field">
      <span>Token</span>
      <input
        class="input mono"
        type="password"
        autocomplete="off"
        value={text}
        onInput={(event) => setText(event.currentTarget.value.trim())}
      />
      <small>The cluster printed it behind its ready line, or has it from --inspector-token.</small>
    </label>
  );
}
