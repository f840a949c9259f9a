/** Keys out of what a terminal sends. Pure. */

/** A name (`up`, `enter`, …), or the one character that was typed. */
export type Key = string;

const sequences: Readonly<Record<string, Key>> = {
  ...{ "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left" },
  ...{ "\x1bOA": "up", "\x1bOB": "down", "\x1bOC": "right", "\x1bOD": "left" },
  ...{ "\x1b[5~": "page-up", "\x1b[6~": "page-down" },
  ...{ "\x1b[H": "home", "\x1b[F": "end", "\x1b[1~": "home", "\x1b[4~": "end" },
  ...{ "\x1bOH": "home", "\x1bOF": "end" },
};
const single: Readonly<Record<string, Key>> = {
  ...{ "\x03": "ctrl-c", "\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace" },
  ...{ "\x1b": "escape" },
};

/** What may follow ESC; such a sequence that is not in the table is a key that does nothing. */
const SEQUENCE = /^(?:\[[0-?]*[ -/]*[@-~]|O[A-Za-z])/;
const ESC = "\x1b";

export function keysIn(text: string): Key[] {
  const keys: Key[] = [];
  for (let rest = text; rest !== ""; ) {
    const behind = rest.startsWith(ESC) ? SEQUENCE.exec(rest.slice(1))?.[0] : undefined;
    const taken = behind === undefined ? ([...rest][0] ?? "") : ESC + behind;
    rest = rest.slice(taken.length);
    if (behind !== undefined) keys.push(sequences[taken] ?? "unknown");
    else keys.push(single[taken] ?? (taken < " " ? "unknown" : taken));
  }
  return keys;
}
