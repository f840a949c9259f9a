/** A process's capabilities with an injector in front of network, files and store. */
import type { Capabilities, Clock, Files, Net, Store } from "../../runtime/capabilities.ts";
import { TransportError } from "../../runtime/transport/transport.ts";
import { FaultySocket } from "./faulty-socket.ts";
import { type FaultInjector, InjectedFault } from "./injector.ts";
import type { FaultPoint } from "./plan.ts";

export function faultyCapabilities(world: Capabilities, injector: FaultInjector): Capabilities {
  return {
    ...world,
    net: faultyNet(world.net, injector),
    files: faultyFiles(world.files, injector),
    store: faultyStore(world.store, injector),
  };
}

const sleep = (clock: Clock, delay_ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(delay_ms, resolve));

export function faultyNet(net: Net, injector: FaultInjector): Net {
  const { clock } = injector;
  return {
    listen: (address, accept) =>
      net.listen(address, (inner) => {
        const fault = injector.at("net.accept", address);
        if (fault !== undefined) {
          if (fault.do === "fail") inner.close();
          return { data: () => {}, drain: () => {}, close: () => {} };
        }
        const socket: FaultySocket = new FaultySocket(injector, address, () => outer);
        socket.attach(inner);
        const outer = accept(socket);
        return socket.handlers;
      }),
    connect: async (address, handlers, timeout_ms) => {
      const fault = injector.at("net.connect", address);
      let left_ms = timeout_ms;
      if (fault?.do === "fail") {
        throw new TransportError("connect_failed", `injected: nobody listens at ${address}`);
      }
      if (fault !== undefined) {
        const wait_ms = fault.do === "drop" ? timeout_ms : Math.min(fault.delay_ms, timeout_ms);
        await sleep(clock, wait_ms);
        left_ms -= wait_ms;
        if (left_ms <= 0) {
          throw new TransportError("connect_timeout", `injected: ${address} does not answer`);
        }
      }
      const socket = new FaultySocket(injector, address, () => handlers);
      socket.attach(await net.connect(address, socket.handlers, left_ms));
      return socket;
    },
    serve: (options) =>
      net.serve({
        ...options,
        fetch: async (request, info) => {
          const path = `/${request.url.split("/").slice(3).join("/")}`;
          const fault = injector.at("http.request", `${request.method} ${path}`);
          if (fault?.do === "delay") await sleep(clock, fault.delay_ms);
          if (fault?.do === "drop") await new Promise(() => {});
          if (fault?.do === "fail") return new Response("injected", { status: 500 });
          return options.fetch(request, info);
        },
      }),
    fetch: (url, init) => net.fetch(url, init),
  };
}

/** Faults before the work: a slow disk, or one that is full (writes) or broken (reads). */
async function disk(injector: FaultInjector, point: FaultPoint, detail: string): Promise<void> {
  const fault = injector.at(point, detail);
  if (fault?.do === "delay") await sleep(injector.clock, fault.delay_ms);
  if (fault?.do !== "fail") return;
  const code = point.endsWith("write") ? "ENOSPC" : "EIO";
  throw new InjectedFault(code, `${code}: injected at ${point} of ${detail}`);
}

export function faultyFiles(files: Files, injector: FaultInjector): Files {
  const read = (path: string) => disk(injector, "file.read", path);
  const write = (path: string) => disk(injector, "file.write", path);
  return {
    read: async (path, ...part) => read(path).then(() => files.read(path, ...part)),
    size_bytes: async (path) => read(path).then(() => files.size_bytes(path)),
    stamp: async (path) => read(path).then(() => files.stamp(path)),
    list: async (folder) => read(folder).then(() => files.list(folder)),
    makeFolder: async (path) => write(path).then(() => files.makeFolder(path)),
    append: async (path, bytes) => write(path).then(() => files.append(path, bytes)),
    sync: async (path) => write(path).then(() => files.sync(path)),
    write: async (path, bytes) => write(path).then(() => files.write(path, bytes)),
    rename: async (from, to) => write(to).then(() => files.rename(from, to)),
    remove: async (path) => write(path).then(() => files.remove(path)),
    free_bytes: (folder) => files.free_bytes(folder),
  };
}

export function faultyStore(store: Store, injector: FaultInjector): Store {
  const read = (key: string) => disk(injector, "store.read", key);
  const write = (key: string) => disk(injector, "store.write", key);
  return {
    get: async (key) => read(key).then(() => store.get(key)),
    put: async (key, value) => write(key).then(() => store.put(key, value)),
    create: async (key, value) => write(key).then(() => store.create(key, value)),
    replace: async (key, was, value) => write(key).then(() => store.replace(key, was, value)),
    delete: async (key) => write(key).then(() => store.delete(key)),
    list: async (prefix, ...which) => read(prefix).then(() => store.list(prefix, ...which)),
    close: () => store.close(),
  };
}
