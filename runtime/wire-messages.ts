/** The runtime's own messages that cross process edges, and their codecs. */

import type {
  Deregister as WireDeregister,
  FlowCancel as WireFlowCancel,
  FlowCredit as WireFlowCredit,
  FlowEnd as WireFlowEnd,
  ProcessReady as WireProcessReady,
  Register as WireRegister,
  Registered as WireRegistered,
  RegistryChange as WireRegistryChange,
  RegistrySnapshot as WireRegistrySnapshot,
  Renew as WireRenew,
  Renewed as WireRenewed,
  RenewedMany as WireRenewedMany,
  RenewMany as WireRenewMany,
  Unwatch as WireUnwatch,
  Watch as WireWatch,
} from "../proto/gen/types.ts";
import type { Ask } from "../proto/index.ts";
import { codecs } from "../proto/index.ts";
import { type Codec, type ProtoRow, protoCodecs } from "./codec.ts";
import type { Message } from "./message.ts";

type Kind<K extends string, T> = T & { readonly kind: K };

export type ProcessReady = Kind<"process_ready", WireProcessReady>;

/** One numbered item of a flow; `item` is a message of its own. */
export type FlowItem<T extends Message = Message> = {
  readonly kind: "flow_item";
  readonly flow: string;
  readonly number: number;
  readonly item: T;
};
export type FlowCredit = Kind<"flow_credit", WireFlowCredit>;
export type FlowEnd = Kind<"flow_end", WireFlowEnd>;
export type FlowCancel = Kind<"flow_cancel", WireFlowCancel>;

export type Registered = Kind<"registered", WireRegistered>;
export type Register = Kind<"register", WireRegister> & Ask<Registered>;
export type Renewed = Kind<"renewed", WireRenewed>;
export type Renew = Kind<"renew", WireRenew> & Ask<Renewed>;
export type RenewedMany = Kind<"renewed_many", WireRenewedMany>;
export type RenewMany = Kind<"renew_many", WireRenewMany> & Ask<RenewedMany>;
export type Deregister = Kind<"deregister", WireDeregister>;
export type RegistrySnapshot = Kind<"registry_snapshot", WireRegistrySnapshot>;
export type Watch = Kind<"watch", WireWatch> & Ask<RegistrySnapshot>;
export type RegistryChange = Kind<"registry_change", WireRegistryChange>;
export type Unwatch = Kind<"unwatch", WireUnwatch>;

const rows: readonly ProtoRow[] = [
  { id: 16, kind: "process_ready", codec: codecs.ProcessReady },
  { id: 25, kind: "flow_credit", codec: codecs.FlowCredit },
  { id: 26, kind: "flow_end", codec: codecs.FlowEnd },
  { id: 27, kind: "flow_cancel", codec: codecs.FlowCancel },
  { id: 32, kind: "register", codec: codecs.Register },
  { id: 33, kind: "registered", codec: codecs.Registered },
  { id: 34, kind: "renew", codec: codecs.Renew },
  { id: 35, kind: "renewed", codec: codecs.Renewed },
  { id: 36, kind: "deregister", codec: codecs.Deregister },
  { id: 37, kind: "watch", codec: codecs.Watch },
  { id: 38, kind: "registry_snapshot", codec: codecs.RegistrySnapshot },
  { id: 39, kind: "registry_change", codec: codecs.RegistryChange },
  { id: 40, kind: "unwatch", codec: codecs.Unwatch },
  { id: 41, kind: "renew_many", codec: codecs.RenewMany },
  { id: 42, kind: "renewed_many", codec: codecs.RenewedMany },
];

/** A message within a message: the item keeps its own type id. */
const flowItem: Codec<FlowItem> = {
  id: 24,
  kind: "flow_item",
  encode: ({ flow, number, item }, writer, table) => {
    const codec = table.of(item.kind);
    writer.uint32(0x0a).string(flow).uint32(0x10).uint32(number);
    writer.uint32(0x18).uint32(codec.id).uint32(0x22).fork();
    codec.encode(item, writer, table);
    writer.ldelim();
  },
  decode: (reader, length, table) => {
    const end = reader.pos + length;
    let flow = "";
    let number = 0;
    let type = 0;
    let item: Message | undefined;
    while (reader.pos < end) {
      const tag = reader.uint32();
      if (tag === 0x0a) flow = reader.string();
      else if (tag === 0x10) number = reader.uint32();
      else if (tag === 0x18) type = reader.uint32();
      else if (tag === 0x22) item = table.decode(type, reader, reader.uint32());
      else reader.skipType(tag & 7);
    }
    if (item === undefined) throw new RangeError("a flow item without an item");
    return { kind: "flow_item", flow, number, item };
  },
};

/** To be handed into every codec table beside the program's own. */
export const runtimeCodecs: readonly Codec[] = [...protoCodecs(rows), flowItem];
