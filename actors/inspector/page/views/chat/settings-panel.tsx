/** What the next question is asked with. */
import { useState } from "preact/hooks";
import { useStore } from "../../data/use-store.ts";
import { Field } from "../../ui/parts.tsx";
import type { SettingName } from "./chat-request.ts";
import { changeKey, changeSettings, chat } from "./chat-store.ts";

/** Beside the conversation where there is room; else folded away above it. */
const WIDE = "(min-width: 1000px)";

export function SettingsPanel() {
  const [open] = useState(() => matchMedia(WIDE).matches);
  const { errors } = useStore(chat);
  const wrong = Object.keys(errors).length > 0;
  return (
    <details class="chat-settings" open={open || wrong}>
      <summary>Settings</summary>
      <div class="settings-fields">
        <ModelField />
        <TextField name="system" label="System prompt" rows={3} />
        <div class="figures-row">
          <NumberField name="temperature" label="Temperature" hint="0–2" />
          <NumberField name="top_p" label="Top-p" hint="0–1" />
          <NumberField name="max_tokens" label="Max tokens" hint="no limit" />
          <NumberField name="seed" label="Seed" hint="random" />
        </div>
        <TextField
          name="tools"
          label="Tools (JSON)"
          rows={3}
          code
          hint='[{"name": "get_weather", "parameters": {…}}]'
        />
        <TextField
          name="schema"
          label="JSON schema of the answer"
          rows={3}
          code
          hint='{"type": "object", …}'
        />
        <KeyField />
      </div>
    </details>
  );
}

function ModelField() {
  const { models, models_failure, settings, errors } = useStore(chat);
  return (
    <Field label="Model" note={models_failure ?? errors.model}>
      <select
        class="select"
        value={settings.model}
        disabled={models.length === 0}
        onChange={(event) => changeSettings({ model: event.currentTarget.value })}
      >
        {models.length === 0 && <option value="">none yet</option>}
        {models.map((id) => (
          <option key={id} value={id}>
            {id}
          </option>
        ))}
      </select>
    </Field>
  );
}

type NumberProps = {
  readonly name: SettingName;
  readonly label: string;
  /** Shown while it is empty. */
  readonly hint: string;
};

function NumberField({ name, label, hint }: NumberProps) {
  const { settings, errors } = useStore(chat);
  return (
    <Field label={label} note={errors[name]}>
      <input
        class="input"
        inputMode="decimal"
        autoComplete="off"
        placeholder={hint}
        aria-invalid={errors[name] !== undefined}
        value={settings[name]}
        onInput={(event) => changeSettings({ [name]: event.currentTarget.value })}
      />
    </Field>
  );
}

type TextProps = NumberFieldless & { readonly rows: number; readonly code?: boolean };
type NumberFieldless = Omit<NumberProps, "hint"> & { readonly hint?: string };

function TextField({ name, label, rows, code, hint }: TextProps) {
  const { settings, errors } = useStore(chat);
  return (
    <Field label={label} note={errors[name]}>
      <textarea
        class={code ? "input mono" : "input"}
        rows={rows}
        spellcheck={!code}
        placeholder={hint}
        aria-invalid={errors[name] !== undefined}
        value={settings[name]}
        onInput={(event) => changeSettings({ [name]: event.currentTarget.value })}
      />
    </Field>
  );
}

function KeyField() {
  const { api_key } = useStore(chat);
  return (
    <Field
      label="API key"
      note="Stays in this page; needed where the server was started with keys."
    >
      <input
        class="input"
        type="password"
        autoComplete="off"
        value={api_key}
        onChange={(event) => changeKey(event.currentTarget.value.trim())}
      />
    </Field>
  );
}
