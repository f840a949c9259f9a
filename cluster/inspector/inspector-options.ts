/** What the inspector's door is told of its cluster. */
import {
  type InspectorDoorOptions,
  type PageParts,
  pageFor,
} from "../../actors/inspector/inspector.ts";
import { httpOrigin } from "../../runtime/url-host.ts";
import { showsContent } from "../child-boots.ts";
import type { Settings } from "../settings/settings.ts";

type Rest = Omit<
  InspectorDoorOptions,
  keyof Settings["inspector"] | "about" | "page" | "shows_content"
>;

type About = { readonly version: string; readonly page?: () => Promise<PageParts> };

/** `openai_port`: 0: this machine has no frontend. */
export function inspectorOptions(
  { inspector, frontend, namespace }: Settings,
  { version, page }: About,
  machine: string,
  openai_port: number,
  rest: Rest & Pick<InspectorDoorOptions, "port">,
): InspectorDoorOptions {
  const { port: _port, ...door } = inspector;
  const openai =
    openai_port === 0 ? null : httpOrigin(frontend.host, openai_port, frontend.tls_cert !== "");
  return {
    ...door,
    ...rest,
    shows_content: showsContent(inspector),
    about: { version, namespace, machine, openai: () => openai },
    ...(page && { page: pageFor(page, { mode: "inspector", inspector: null }) }),
  };
}
