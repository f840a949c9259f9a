/** The runtime's own messages that cross process edges, and their codecs. */

import type {
  Deregister as WireDeregister,
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

type Kind<K extends string, T> = T & { readonly kind: K };

export type ProcessReady = Kind<"process_ready", WireProcessReady>;

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

/** Part of every codec table beside the program's own codecs. */
export const runtimeCodecs: readonly Codec[] = protoCodecs(rows);
