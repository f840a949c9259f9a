/** A test's one process as a node without peers: references as data then find their way. */
import { messageTable } from "../../../proto/index.ts";
import { CodecTable, protoCodecs } from "../../../runtime/codec.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import { joinNode, type RemoteNode } from "../../../runtime/remote/node.ts";

export function joinAlone(system: ActorSystem): Promise<RemoteNode> {
  return joinNode(system, { transports: [], codecs: new CodecTable(protoCodecs(messageTable)) });
}
