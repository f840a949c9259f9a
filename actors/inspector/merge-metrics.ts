/**
 * Prometheus texts of several processes as one: samples of one name stand together under one HELP
 * and TYPE, and a label says of which process each is.
 */
export type NodeMetrics = { readonly node: string; readonly text: string };

type Family = { readonly about: string[]; readonly samples: string[] };

export function mergeMetrics(parts: readonly NodeMetrics[]): string {
  const families = new Map<string, Family>();
  for (const { node, text } of parts) {
    let family: Family = { about: [], samples: [] };
    let name = "";
    let first = true;
    for (const line of text.split("\n")) {
      if (line === "") continue;
      if (line.startsWith("# ")) {
        const its_name = line.split(" ")[2] ?? "";
        if (its_name !== name) {
          name = its_name;
          first = !families.has(name);
          family = families.get(name) ?? { about: [], samples: [] };
          families.set(name, family);
        }
        if (first) family.about.push(line);
      } else {
        family.samples.push(labelled(line, node));
      }
    }
  }
  return [...families.values()]
    .flatMap(({ about, samples }) => [...about, ...samples])
    .map((line) => `${line}\n`)
    .join("");
}

/** `name{a="b"} 1` → `name{node="x",a="b"} 1`. */
function labelled(sample: string, node: string): string {
  const brace = sample.indexOf("{");
  const space = sample.indexOf(" ");
  if (brace >= 0 && brace < space) {
    return `${sample.slice(0, brace)}{node="${node}",${sample.slice(brace + 1)}`;
  }
  return `${sample.slice(0, space)}{node="${node}"}${sample.slice(space)}`;
}
