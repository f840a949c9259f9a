/** The chosen row: its whole path, why it ended last, what can be done to it. */
import { ActButtons } from "../../act/buttons.tsx";
import type { TreeRow } from "../../data/types.ts";
import { hrefOf } from "../../shell/route.ts";
import { Button, CopyButton } from "../../ui/button.tsx";
import { Icon } from "../../ui/icons.tsx";

export function Selected({ row, onClose }: { row: TreeRow; onClose: () => void }) {
  return (
    <section class="panel tree-selected" aria-label="Chosen row">
      <header>
        <h2 class="mono">{row.id}</h2>
        <CopyButton text={() => row.id}>Copy id</CopyButton>
        <a class="button quiet" href={hrefOf("actor", row.id)}>
          <Icon name="right" />
          <span>Look inside</span>
        </a>
        <Button icon="close" kind="quiet" label="Close" onClick={onClose} />
      </header>
      <div class="panel-body">
        {row.last_crash !== undefined && (
          <p class="tree-why">
            <Icon name="warning" />
            <span>
              Last crash: {row.last_crash}{" "}
              <a href={hrefOf("actor", row.id)}>The report is in its page.</a>
            </span>
          </p>
        )}
        <ActButtons row={row} />
      </div>
    </section>
  );
}
