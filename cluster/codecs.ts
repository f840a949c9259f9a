/** Every message that may cross a process edge of this program. */
import { messageTable } from "../proto/index.ts";
import { CodecTable, protoCodecs } from "../runtime/codec.ts";
import { runtimeCodecs } from "../runtime/wire-messages.ts";

export const codecs = new CodecTable([...runtimeCodecs, ...protoCodecs(messageTable)]);
