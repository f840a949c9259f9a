/** What of the tree is shown. */
import { useRef } from "preact/hooks";
import {
  noFilter,
  type StateFilter,
  type TreeFilter,
  type TreeModel,
} from "../../data/tree-model.ts";
import { Button } from "../../ui/button.tsx";
import { count } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { Select } from "../../ui/parts.tsx";

type FiltersProps = {
  readonly model: TreeModel;
  readonly filter: TreeFilter;
  readonly onFilter: (filter: TreeFilter) => void;
  /** Branches were opened or closed. */
  readonly onTurn: () => void;
};

const states: readonly (readonly [value: StateFilter, text: string])[] = [
  ["all", "Everything"],
  ["processes", "Processes"],
  ["busy", "Busy now"],
  ["trouble", "Restarted or not well"],
];

export function Filters({ model, filter, onFilter, onTurn }: FiltersProps) {
  const box = useRef<HTMLInputElement>(null);
  const change = (part: Partial<TreeFilter>) => onFilter({ ...filter, ...part });
  const turn = (isOpen: boolean) => {
    model.setAll(isOpen);
    onTurn();
  };
  const roles = model.roles().map(([role, n]) => [role, `${role} (${count(n)})`] as const);
  const isFiltered = filter !== noFilter && JSON.stringify(filter) !== JSON.stringify(noFilter);
  return (
    <search class="tree-filters">
      <span class="search">
        <Icon name="search" size={14} />
        <input
          ref={box}
          data-search
          type="search"
          aria-label="Search the tree"
          placeholder="Name, role, state, pid    /"
          value={filter.text}
          onInput={(event) => change({ text: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key !== "Escape") return;
            change({ text: "" });
            box.current?.blur();
          }}
        />
      </span>
      <Select
        label="Role"
        value={filter.role}
        options={[["", "All roles"], ...roles]}
        onChange={(role) => change({ role })}
      />
      <Select
        label="Which"
        value={filter.state}
        options={states}
        onChange={(state) => change({ state: state as StateFilter })}
      />
      {isFiltered && (
        <Button kind="quiet" icon="close" onClick={() => onFilter(noFilter)}>
          Clear
        </Button>
      )}
      <span class="tree-turns">
        <Button kind="quiet" onClick={() => turn(true)} title="Expand everything (*)">
          Expand all
        </Button>
        <Button kind="quiet" onClick={() => turn(false)} title="Collapse everything (−)">
          Collapse all
        </Button>
      </span>
    </search>
  );
}
