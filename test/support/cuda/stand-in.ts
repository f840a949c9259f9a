/** Builds the stand-in for libcuda.so.1 and the checks of native/kv, where there is a compiler. */
import { join } from "node:path";

const HERE = import.meta.dir;

async function compiled(args: readonly string[], to: string): Promise<string> {
  const run = Bun.spawn(["cc", ...args, "-o", to], { stdout: "ignore", stderr: "pipe" });
  const said = await run.stderr.text();
  if ((await run.exited) !== 0) throw new Error(`cc ${args.join(" ")}: ${said}`);
  return to;
}

/** The library's path; undefined without a compiler. */
export async function buildStandIn(folder: string): Promise<string | undefined> {
  if (Bun.which("cc") === null) return undefined;
  const source = join(HERE, "stand-in.c");
  return compiled(["-O2", "-fPIC", "-shared", source], join(folder, "libcuda.so"));
}

/** The program of kv-checks.c, which looks at every byte that it touches. */
export function buildSanitized(folder: string): Promise<string> {
  const flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
  const libraries = ["-lpthread", "-ldl", "-lm"];
  return compiled([...flags, join(HERE, "kv-checks.c"), ...libraries], join(folder, "kv-checks"));
}
