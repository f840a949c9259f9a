/** Buttons, and one that copies. */
import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icons.tsx";
import { toast } from "./toast.tsx";

type ButtonProps = {
  readonly children?: ComponentChildren;
  readonly icon?: IconName;
  readonly kind?: "plain" | "primary" | "danger" | "quiet";
  readonly disabled?: boolean;
  readonly title?: string;
  /** Needed where there is no text. */
  readonly label?: string;
  readonly pressed?: boolean;
  readonly type?: "button" | "submit";
  readonly onClick?: (event: MouseEvent) => void;
};

export function Button(props: ButtonProps) {
  const { children, icon, kind = "plain", disabled, title, label, pressed, onClick } = props;
  const bare = children === undefined ? " bare" : "";
  return (
    <button
      type={props.type ?? "button"}
      class={`button ${kind}${bare}`}
      disabled={disabled}
      title={title ?? label}
      aria-label={label}
      aria-pressed={pressed}
      onClick={onClick}
    >
      {icon && <Icon name={icon} />}
      {children !== undefined && <span>{children}</span>}
    </button>
  );
}

/** Copies `text()` and says so. */
export function CopyButton({ text, children }: { text: () => string; children?: string }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      toast({ tone: "good", text: "Copied." });
    } catch {
      toast({
        tone: "bad",
        text: "This browser does not let the page copy; mark the text instead.",
      });
    }
  };
  return (
    <Button icon="copy" kind="quiet" label={children ?? "Copy"} onClick={() => void copy()}>
      {children}
    </Button>
  );
}
