/**
 * A model hub and a package index on this machine, with their faults: what tests of model sources
 * fetch from. Files are served by redirect from a second origin, as hubs do with their CDN.
 */
export type StandInFile = {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** What the hub claims; the true one unless given. */
  readonly sha256?: string;
};

export type StandInFaults = {
  /** Cut the connection after so many bytes of a body, this many times. */
  cut_after_bytes?: number;
  cuts?: number;
  /** Answer file requests with this status, this many times. */
  status?: number;
  status_times?: number;
  /** Ignore Range headers. */
  no_ranges?: boolean;
};

export type HubStandIn = {
  readonly url: string;
  readonly faults: StandInFaults;
  /** "GET /path range=… auth=…" of each request, the CDN's with "cdn" before it. */
  readonly requests: string[];
  stop(): Promise<void>;
};

export type HubOptions = {
  readonly repo: string;
  readonly files: readonly StandInFile[];
  /** Without this bearer token everything is a 401. */
  readonly token?: string;
};

const CUT_MARGIN = 1 << 16;

export function startHub(options: HubOptions): HubStandIn {
  const faults: StandInFaults = {};
  const requests: string[] = [];
  const cdn = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      requests.push(`cdn ${describe(request)}`);
      if (request.headers.get("authorization") !== null) return new Response("", { status: 400 });
      const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
      const file = options.files.find((entry) => entry.path === name);
      if (file === undefined) return new Response("no such object", { status: 404 });
      return serveFile(request, file.bytes, faults);
    },
  });
  const hub = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      requests.push(describe(request));
      const wanted = options.token === undefined ? null : `Bearer ${options.token}`;
      if (wanted !== null && request.headers.get("authorization") !== wanted) {
        return new Response("", { status: 401 });
      }
      const { pathname } = new URL(request.url);
      if (pathname === `/api/models/${options.repo}/tree/main`) {
        return Response.json(options.files.map(treeEntry));
      }
      const prefix = `/${options.repo}/resolve/main/`;
      if (!pathname.startsWith(prefix)) return new Response("", { status: 404 });
      if (takeStatus(faults)) return new Response("", { status: faults.status ?? 500 });
      return Response.redirect(`http://127.0.0.1:${cdn.port}/${pathname.slice(prefix.length)}`);
    },
  });
  return {
    url: `http://127.0.0.1:${hub.port}`,
    faults,
    requests,
    stop: async () => {
      await hub.stop(true);
      await cdn.stop(true);
    },
  };
}

export type IndexWheel = {
  readonly project: string;
  readonly filename: string;
  readonly bytes: Uint8Array;
  readonly sha256?: string;
};

/** A package index with PEP 691 answers, or PEP 503 pages when `html`. */
export function startIndex(
  wheels: readonly IndexWheel[],
  options: { readonly html?: boolean; readonly user?: string } = {},
): HubStandIn {
  const faults: StandInFaults = {};
  const requests: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      requests.push(describe(request));
      const { pathname } = new URL(request.url);
      const wanted = options.user === undefined ? null : `Basic ${btoa(options.user)}`;
      if (wanted !== null && request.headers.get("authorization") !== wanted) {
        return new Response("", { status: 401 });
      }
      const file = wheels.find((wheel) => pathname === `/files/${wheel.filename}`);
      if (file !== undefined) return serveFile(request, file.bytes, faults);
      const project = /^\/simple\/([^/]+)\/$/.exec(pathname)?.[1];
      const found = wheels.filter((wheel) => wheel.project === project);
      if (found.length === 0) return new Response("", { status: 404 });
      return options.html === true ? linkPage(found) : projectPage(found);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/simple`,
    faults,
    requests,
    stop: () => server.stop(true),
  };
}

export function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

/** A wheel: a ZIP file of stored and deflated entries in turn. */
export function makeWheel(files: Readonly<Record<string, Uint8Array | string>>): Uint8Array {
  const locals: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  Object.entries(files).forEach(([name, content], index) => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const deflated = index % 2 === 1;
    const packed = deflated ? Bun.deflateSync(new Uint8Array(bytes)) : bytes;
    const crc = Bun.hash.crc32(bytes);
    const title = new TextEncoder().encode(name);
    const common = [20, 0, deflated ? 8 : 0, 0, 0];
    const local = fields(0x04034b50, common, [crc, packed.length, bytes.length], [title.length, 0]);
    const sizes = [crc, packed.length, bytes.length];
    const entry = fields(
      0x02014b50,
      [20, ...common],
      sizes,
      [title.length, 0, 0, 0, 0],
      [0, offset],
    );
    locals.push(local, title, packed);
    directory.push(entry, title);
    offset += local.length + title.length + packed.length;
  });
  const listed = Buffer.concat(directory);
  const count = Object.keys(files).length;
  const end = fields(0x06054b50, [0, 0, count, count], [listed.length, offset], [0]);
  return new Uint8Array(Buffer.concat([...locals, listed, end]));
}

/** Little-endian: a u32 signature, u16s, u32s, u16s, u32s. */
function fields(
  signature: number,
  shorts: readonly number[],
  longs: readonly number[],
  more_shorts: readonly number[] = [],
  more_longs: readonly number[] = [],
): Uint8Array {
  const parts = [
    new Uint8Array(Uint32Array.of(signature).buffer),
    new Uint8Array(Uint16Array.from(shorts).buffer),
    new Uint8Array(Uint32Array.from(longs).buffer),
    new Uint8Array(Uint16Array.from(more_shorts).buffer),
    new Uint8Array(Uint32Array.from(more_longs).buffer),
  ];
  return new Uint8Array(Buffer.concat(parts));
}

function describe(request: Request): string {
  const { pathname } = new URL(request.url);
  const range = request.headers.get("range");
  const auth = request.headers.get("authorization");
  const extras = [range === null ? "" : ` range=${range}`, auth === null ? "" : ` auth=${auth}`];
  return `${request.method} ${pathname}${extras.join("")}`;
}

function treeEntry(file: StandInFile): Record<string, unknown> {
  const oid = file.sha256 ?? sha256(file.bytes);
  const size = file.bytes.length;
  return { type: "file", path: file.path, size, lfs: { oid, size, pointerSize: 134 } };
}

function takeStatus(faults: StandInFaults): boolean {
  if ((faults.status_times ?? 0) <= 0) return false;
  faults.status_times = (faults.status_times ?? 0) - 1;
  return true;
}

function serveFile(request: Request, bytes: Uint8Array, faults: StandInFaults): Response {
  const range = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1];
  const start = range === undefined || faults.no_ranges === true ? 0 : Number(range);
  if (start > 0 && start >= bytes.length) {
    return new Response("", {
      status: 416,
      headers: { "content-range": `bytes */${bytes.length}` },
    });
  }
  const headers: Record<string, string> = { "content-length": String(bytes.length - start) };
  if (start > 0) headers["content-range"] = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
  const status = start > 0 ? 206 : 200;
  const rest = new Uint8Array(bytes.subarray(start));
  if ((faults.cuts ?? 0) > 0 && faults.cut_after_bytes !== undefined) {
    faults.cuts = (faults.cuts ?? 0) - 1;
    return new Response(cutStream(rest, faults.cut_after_bytes), { status, headers });
  }
  return new Response(rest, { status, headers });
}

/** Sends a beginning and then breaks the connection. */
function cutStream(
  bytes: Uint8Array<ArrayBuffer>,
  after_bytes: number,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let sent = 0;
  return new ReadableStream({
    async pull(controller) {
      if (sent >= after_bytes) {
        await Bun.sleep(20); // so that what was sent arrives before the reset
        controller.error("the stand-in cuts this connection, as the test asked");
        return;
      }
      const end = Math.min(after_bytes, sent + CUT_MARGIN);
      controller.enqueue(bytes.slice(sent, end));
      sent = end;
    },
  });
}

function projectPage(wheels: readonly IndexWheel[]): Response {
  const files = wheels.map((wheel) => ({
    filename: wheel.filename,
    url: `../../files/${wheel.filename}`,
    hashes: { sha256: wheel.sha256 ?? sha256(wheel.bytes) },
    size: wheel.bytes.length,
    yanked: false,
  }));
  const headers = { "content-type": "application/vnd.pypi.simple.v1+json" };
  return new Response(JSON.stringify({ meta: { "api-version": "1.1" }, files }), { headers });
}

function linkPage(wheels: readonly IndexWheel[]): Response {
  const links = wheels.map((wheel) => {
    const sum = wheel.sha256 ?? sha256(wheel.bytes);
    return `<a href="../../files/${wheel.filename}#sha256=${sum}">${wheel.filename}</a><br/>`;
  });
  const html = `<!DOCTYPE html><html><body>\n${links.join("\n")}\n</body></html>`;
  return new Response(html, { headers: { "content-type": "text/html" } });
}
