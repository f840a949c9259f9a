/** One of a few, as buttons side by side. */
import { Button } from "./button.tsx";

type ChoicesProps<T> = {
  readonly label: string;
  readonly options: readonly (readonly [value: T, text: string])[];
  readonly chosen: T;
  readonly onChoose: (value: T) => void;
};

export function Choices<T extends string | number>(props: ChoicesProps<T>) {
  const { label, options, chosen, onChoose } = props;
  return (
    <fieldset class="choices">
      <legend class="visually-hidden">{label}</legend>
      {options.map(([value, text]) => (
        <Button key={value} kind="quiet" pressed={value === chosen} onClick={() => onChoose(value)}>
          {text}
        </Button>
      ))}
    </fieldset>
  );
}
