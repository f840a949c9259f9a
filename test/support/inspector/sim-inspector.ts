/** The inspector of a simulated cluster, asked over its own HTTP. */
import { DOOR_PORT } from "../../sim/world/world.ts";
import type { simWorld } from "../worlds/sim-world.ts";

export async function askInspector<Body>(
  { simulation, cluster }: Awaited<ReturnType<typeof simWorld>>,
  method: string,
  path: string,
  body?: object,
): Promise<{ readonly status: number; readonly body: Body }> {
  let status = 0;
  let text = "";
  let over = false;
  const port = cluster.root?.inspector_port ?? DOOR_PORT;
  const headers = { host: `127.0.0.1:${port}`, "content-type": "application/json" };
  const sent = body === undefined ? "" : JSON.stringify(body);
  cluster.http.request(
    port,
    { method, path, headers, body: sent },
    {
      head: (code) => {
        status = code;
      },
      data: (bytes) => {
        text += new TextDecoder().decode(bytes);
      },
      ended: () => {
        over = true;
      },
      failed: (why) => {
        text = JSON.stringify({ error: why });
        over = true;
      },
    },
  );
  for (let turns = 0; !over && turns < 400; turns++) await simulation.run(50);
  return { status, body: JSON.parse(text) as Body };
}
