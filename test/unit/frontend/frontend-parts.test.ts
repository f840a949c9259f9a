/** The small rooms of the door: routes, keys, origins, bodies, the model directory. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Access, keyIn } from "../../../actors/frontend/access/access.ts";
import { plainKey } from "../../../actors/frontend/access/key-rule.ts";
import { ApiError } from "../../../actors/frontend/api/api-error.ts";
import { chat } from "../../../actors/frontend/api/chat/chat.ts";
import { pathsOf } from "../../../actors/frontend/api/dialect.ts";
import { dialects } from "../../../actors/frontend/api/dialects.ts";
import * as info from "../../../actors/frontend/api/info/info.ts";
import type { JsonRoute } from "../../../actors/frontend/api/json-route.ts";
import { jsonRoutes } from "../../../actors/frontend/api/json-routes.ts";
import { STREAMS_PATH, tablePaths } from "../../../actors/frontend/api/paths.ts";
import { allowOrigin, checkOrigin, readOrigins } from "../../../actors/frontend/http/cors.ts";
import {
  checkJsonType,
  checkStructure,
  parseJson,
} from "../../../actors/frontend/http/read-body.ts";
import { pathOf, routeOf, routesOf } from "../../../actors/frontend/http/routes.ts";
import { healthOf } from "../../../actors/frontend/models/info-bodies.ts";
import { ModelDirectory } from "../../../actors/frontend/models/models.ts";
import { fakeModel, fakeRecord } from "../../support/worlds/frontend-fakes.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
  return "fine";
};

const routes = routesOf(dialects, jsonRoutes);
const found = (method: string, path: string) => routeOf(routes, method, path).route;
const json = (route: JsonRoute, param = "") => ({ kind: "json" as const, route, param });

test("the list of paths, which settings are checked against, is that of the tables", () => {
  const of_routes = [...dialects.flatMap(pathsOf), ...jsonRoutes.map(({ path }) => path)];
  expect(tablePaths.toSorted()).toEqual([...new Set([STREAMS_PATH, ...of_routes])].sort());
});

test("routes", () => {
  expect(found("POST", "/v1/chat/completions")).toEqual({ kind: "dialect", dialect: chat });
  expect(found("GET", "/v1/models/")).toEqual(json(info.models));
  expect(found("GET", "/v1/models/a/b")).toEqual(json(info.model, "a/b"));
  expect(found("GET", "/v1/models/a%2Fb%20c")).toEqual(json(info.model, "a/b c"));
  expect(found("GET", "/v1/models/%zz")).toEqual(json(info.model, "%zz"));
  expect(found("GET", "/v1/models/a/b/ready")).toEqual(json(info.modelReady, "a/b"));
  expect(found("GET", "/v1/models/ready")).toEqual(json(info.model, "ready"));
  expect(found("GET", "/v1/models//ready")).toEqual(json(info.model, "/ready"));
  expect(found("GET", "/v1/streams/a%2Fb")).toEqual({ kind: "resume", id: "a%2Fb" });
  expect(found("HEAD", "/v1/streams/a")).toEqual({ kind: "wrong_method", allow: "GET, OPTIONS" });
  expect(found("HEAD", "/health")).toEqual(json(info.health));
  expect(found("HEAD", "/tokenize")).toEqual({ kind: "wrong_method", allow: "POST, OPTIONS" });
  expect(found("GET", "/v1/embeddings")).toEqual({ kind: "wrong_method", allow: "POST, OPTIONS" });
  expect(found("OPTIONS", "/v1/whatever")).toEqual({ kind: "unknown" });
  expect(found("OPTIONS", "/health")).toEqual({ kind: "preflight", allow: "GET, HEAD, OPTIONS" });
  expect(found("OPTIONS", "/nothing")).toEqual({ kind: "unknown" });
  expect(found("DELETE", "/nothing")).toEqual({ kind: "unknown" });
});

test("the table says who needs a key, whatever the path; unknown paths below /v1 need one", () => {
  const guarded = (path: string, method = "GET") => routeOf(routes, method, path).guarded;
  for (const path of ["/v1/models/x", "/v1/streams/x", "/v1/models/x/ready", "/v1/nothing"]) {
    expect([path, guarded(path)]).toEqual([path, true]);
  }
  for (const path of ["/tokenize", "/detokenize", "/v1/chat/completions"]) {
    expect([path, guarded(path), guarded(path, "POST")]).toEqual([path, true, true]);
  }
  for (const path of ["/", "/health", "/live", "/metrics", "/openapi.json", "/docs", "/nothing"]) {
    expect([path, guarded(path)]).toEqual([path, false]);
  }
});

test("two methods of one path, and places other than those of the table", () => {
  const thing = (method: "GET" | "POST"): JsonRoute => ({ ...info.live, method, path: "/thing" });
  const both = [thing("GET"), thing("POST"), info.model, info.models];
  const paths = { "/thing": "/odd/thing", "/v1/models": "/m" };
  const table = routesOf([chat], both, { ...paths, "/v1/chat/completions": "/chat" });
  const at = (method: string, path: string) => routeOf(table, method, path);
  expect(at("POST", "/odd/thing").route).toEqual(json(both[1]!));
  expect(at("PUT", "/odd/thing").route).toEqual({
    ...{ kind: "wrong_method", allow: "GET, HEAD, POST, OPTIONS" },
  });
  expect(at("GET", "/thing").route).toEqual({ kind: "unknown" });
  expect(at("GET", "/m/a/b").route).toEqual(json(info.model, "a/b"));
  expect(at("GET", "/m")).toEqual({ route: json(info.models), guarded: true });
  expect(at("POST", "/chat")).toEqual({ route: { kind: "dialect", dialect: chat }, guarded: true });
});

test("the path of a URL", () => {
  expect(pathOf("http://h:1/v1/models?x=/y#z")).toBe("/v1/models");
  expect(pathOf("http://h:1")).toBe("/");
  expect(pathOf("http://h/#a")).toBe("/");
  expect(pathOf("/v1/models/a://b/c?d")).toBe("/v1/models/a://b/c");
  expect(pathOf("http://localhost:80@evil/live")).toBe("/live");
  expect(pathOf("http:///live")).toBe("/live");
  expect(pathOf("http://[::1/live")).toBe("/live");
});

test("several keys, each good; everything else is a 401", () => {
  const keys = new Access(["one", "two"].map(plainKey));
  const check = (header: string | null, key: string | null = null) =>
    keys.check(keyIn(header, key));
  const first = check("Bearer one");
  expect(first).not.toBe(check("bearer  two"));
  expect(first).toHaveLength(16);
  for (const bad of [null, "", "Bearer", "Bearer three", "Basic one", "one", "Bearer one two"]) {
    expect(codeOf(() => check(bad))).toBe("invalid_api_key");
  }
  expect(check(null, "one")).toBe(first);
  expect(check("Bearer one", "three")).toBe(first);
  for (const bad of ["", "three", "Bearer one"]) {
    expect(codeOf(() => check(null, bad))).toBe("invalid_api_key");
  }
  expect(new Access([]).check(undefined)).toBe("");
});

test("origins: every one, some, or none", () => {
  const headers = (flag: string, origin: string | null) => {
    const out: Record<string, string> = {};
    const request = new Headers(origin === null ? {} : { origin });
    allowOrigin(out, readOrigins(flag, false), request);
    return out["Access-Control-Allow-Origin"];
  };
  expect(headers("*", null)).toBe("*");
  expect(headers("https://a, https://b", "https://b")).toBe("https://b");
  expect(headers("https://a", "https://evil")).toBeUndefined();
  expect(headers("", "https://a")).toBeUndefined();
  expect(headers("none", "https://a")).toBeUndefined();
  expect(headers("https://A/", "https://a")).toBe("https://a");
});

/** What a request with these headers is told: "fine" or the error's code. */
function pageCode(flag: string, headers: Record<string, string>, keyed = false, method = "POST") {
  const request = new Request("http://x/v1/completions", { method });
  const given = { method: request.method, headers: new Headers(headers) } as Request;
  return codeOf(() => checkOrigin(readOrigins(flag, keyed), given));
}

test("an open server is for the pages of its own machine, unless it is opened", () => {
  const local = ["http://localhost", "http://localhost:3000", "https://127.0.0.1:1"];
  const foreign = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://localhost:3000.evil.example",
    "http://127.0.0.1.evil.example",
    "http://192.168.0.9:8000",
    "null",
    "file://",
    "",
  ];
  for (const origin of [...local, "http://[::1]:8000"]) {
    expect([origin, pageCode("auto", { origin })]).toEqual([origin, "fine"]);
    expect([origin, pageCode("none", { origin })]).toEqual([origin, "origin_not_allowed"]);
  }
  for (const origin of foreign) {
    expect([origin, pageCode("auto", { origin })]).toEqual([origin, "origin_not_allowed"]);
    expect([origin, pageCode("local", { origin }, true)]).toEqual([origin, "origin_not_allowed"]);
    expect([origin, pageCode("auto", { origin }, true)]).toEqual([origin, "fine"]);
    expect([origin, pageCode("*", { origin })]).toEqual([origin, "fine"]);
  }
  expect(pageCode("auto,https://app.example", { origin: "https://app.example" })).toBe("fine");
  expect(pageCode("auto,https://app.example", { origin: "http://localhost:5" })).toBe("fine");
  expect(pageCode("https://app.example", { origin: "http://localhost:5" })).toBe(
    "origin_not_allowed",
  );
  // No page at all: curl, an SDK.
  expect(pageCode("auto", {})).toBe("fine");
});

test("a server's own page is known by its address, which nobody can make point elsewhere", () => {
  const own = { origin: "http://192.168.0.9:8000", host: "192.168.0.9:8000" };
  expect(pageCode("auto", own)).toBe("fine");
  expect(pageCode("auto", { ...own, host: "192.168.0.9:9000" })).toBe("origin_not_allowed");
  const rebound = { origin: "http://evil.example:8000", host: "evil.example:8000" };
  expect(pageCode("auto", rebound)).toBe("origin_not_allowed");
});

test("images and scripts of other sites ask without an origin", () => {
  const image = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" };
  expect(pageCode("auto", image, false, "GET")).toBe("origin_not_allowed");
  expect(pageCode("*", image, false, "GET")).toBe("fine");
  const link = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
  expect(pageCode("auto", link, false, "GET")).toBe("fine");
});

test("a body is JSON when it says so", () => {
  const good = [
    "application/json",
    "Application/JSON; charset=utf-8",
    'application/json;charset="utf-8"',
    "application/problem+json",
    "application/vnd.api+json; a=b",
  ];
  for (const type of good)
    expect([type, codeOf(() => checkJsonType(type))]).toEqual([type, "fine"]);
  const bad = [
    null,
    "",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain;charset=UTF-8",
    "text/plain; application/json",
    "text/plain, application/json",
    "application/jsonp",
    "application/+json",
    "text/json",
    "json",
  ];
  for (const type of bad) {
    expect([type, codeOf(() => checkJsonType(type))]).toEqual([type, "unsupported_media_type"]);
  }
});

test("bodies: encodings and nonsense", () => {
  expect(parseJson(bytes('\ufeff{"a":1}'))).toEqual({ a: 1 });
  expect(codeOf(() => parseJson(new Uint8Array()))).toBe("invalid_json");
  expect(codeOf(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22)))).toBe("invalid_utf8");
  // A surrogate encoded as if it were a character.
  expect(codeOf(() => parseJson(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)))).toBe("invalid_utf8");
  expect(codeOf(() => parseJson(bytes("{]")))).toBe("invalid_json");
});

test("half a surrogate pair is refused wherever it stands, by the name of its place", () => {
  const half = '"a\\ud800"';
  const cases: readonly (readonly [body: string, param: string | null])[] = [
    [`{"reasoning_effort":${half}}`, "reasoning_effort"],
    [`{"user":"\\uDC00\\uD800"}`, "user"],
    [`{"chat_template_kwargs":{"a":1,"b":${half}}}`, "chat_template_kwargs.b"],
    [`{"chat_template_kwargs":{${half}:1}}`, "chat_template_kwargs"],
    [`{"messages":[{},{"content":[{"text":${half}}]}]}`, "messages[1].content[0].text"],
    [`{${half}:1}`, null],
    [half, null],
  ];
  for (const [body, param] of cases) {
    let found: unknown;
    try {
      parseJson(bytes(body));
    } catch (error) {
      found = error;
    }
    expect([body, found]).toMatchObject([body, { status: 400, code: "invalid_unicode", param }]);
  }
  expect(parseJson(bytes('{"a":"\\ud83d\\ude00","b":"\\\\ud800"}'))).toEqual({
    a: "😀",
    b: "\\ud800",
  });
  const deep = `${"[".repeat(7_000)}${half}${"]".repeat(7_000)}`;
  expect(codeOf(() => parseJson(bytes(deep)))).toBe("invalid_json");
});

test("a bomb of brackets is refused before it is parsed, a long string is not", () => {
  const deep = "[".repeat(100_000);
  expect(codeOf(() => parseJson(bytes(deep + "]".repeat(100_000))))).toBe("invalid_json");
  expect(codeOf(() => parseJson(bytes(`["${deep}"]`)))).toBe("fine");
  expect(codeOf(() => parseJson(bytes(`["${'\\"['.repeat(50_000)}"]`)))).toBe("fine");
  expect(codeOf(() => parseJson(bytes(`[${"1,".repeat(2_000_001)}1]`)))).toBe("invalid_json");
});

test("an object of many names is refused before it is parsed; many objects of few names are not", () => {
  const object = (names: number) => `{${Array.from({ length: names }, (_, i) => `"k${i}":1`)}}`;
  expect(codeOf(() => parseJson(bytes(object(16_384))))).toBe("fine");
  expect(codeOf(() => parseJson(bytes(object(16_385))))).toBe("invalid_json");
  expect(codeOf(() => parseJson(bytes(`[${`${object(100)},`.repeat(200)}1]`)))).toBe("fine");
  expect(codeOf(() => parseJson(bytes(`{"a":${object(16_384)},"b":${object(16_384)}}`)))).toBe(
    "fine",
  );
});

test("property: the structure of valid JSON within the limits is never refused", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 20 }), (text) => {
      expect(codeOf(() => checkStructure(bytes(text)))).toBe("fine");
      expect(parseJson(bytes(text))).toEqual(JSON.parse(text));
    }),
  );
});

const build = () => {
  let built = 0;
  const models = new ModelDirectory((card, blobs) => {
    built += 1;
    if (blobs.get(card.tokenizer_blob)?.[0] === 0) throw new Error("bad vocabulary");
    return fakeModel(card);
  });
  return { models, built: () => built };
};

test("a model is ready when all of its blobs are here; each is wanted once", () => {
  const { models, built } = build();
  const card = { tokenizer_blob: "t", template_blob: "c" };
  models.workerJoined(fakeRecord(card, "w1"));
  models.workerJoined(fakeRecord(card, "w2"));
  expect(models.state("toy")).toBe("loading");
  expect(models.wantedBlobs().map(({ hash, holders }) => [hash, holders.length])).toEqual([
    ["t", 2],
    ["c", 2],
  ]);
  models.blobArrived("t", Uint8Array.of(1));
  expect(models.wantedBlobs().map(({ hash }) => hash)).toEqual(["c"]);
  expect(healthOf(models, false)).toMatchObject({ status: 503, body: { status: "starting" } });
  models.blobArrived("c", Uint8Array.of(1));
  expect(models.state("toy")).toBe("ready");
  expect(built()).toBe(1);
  expect(models.wantedBlobs()).toEqual([]);
  expect(healthOf(models, false)).toMatchObject({ status: 200, body: { status: "ready" } });
  expect(healthOf(models, true)).toMatchObject({ status: 503, body: { status: "draining" } });
  // Where routers are hosted; without one it serves on.
  const [alone, own] = ["router-0", "own"].map((router) => healthOf(models, false, [], [], router));
  expect([alone, own]).toMatchObject([
    { status: 200, body: { router: "router-0" } },
    { status: 200, body: { router: "own" } },
  ]);
  expect(healthOf(models, false).body).not.toHaveProperty("router");
});

test("a model outlives its workers for a while, and not for ever", () => {
  const { models } = build();
  models.workersAre([fakeRecord({}, "w1"), fakeRecord({ name: "other" }, "w2")]);
  models.workersAre([fakeRecord({ name: "other" }, "w2")]);
  models.forgetDeserted(100, 1000);
  expect(models.get("toy")?.name).toBe("toy");
  expect(models.workers("toy")).toBe(0);
  models.forgetDeserted(1099, 1000);
  expect(models.state("toy")).toBe("ready");
  models.forgetDeserted(1100, 1000);
  expect(models.state("toy")).toBe("unknown");
  expect(models.ready().map(({ name }) => name)).toEqual(["other"]);
  models.workerLeft("w2");
  expect(healthOf(models, false).body.status).toBe("no_workers");
  models.workerJoined(fakeRecord({ name: "other" }, "w3"));
  models.forgetDeserted(1e9, 1000);
  expect(models.state("other")).toBe("ready");
});

test("a worker that left may hold answers for a while, until its successor is there", () => {
  const { models } = build();
  const holders = () => models.knownHolders().map(({ worker }) => worker);
  models.workersAre([fakeRecord({}, "w1"), fakeRecord({}, "w2")]);
  models.workerLeft("w1");
  expect(models.knownWorkers().map(({ worker }) => worker)).toEqual(["w2"]);
  expect(holders()).toEqual(["w2", "w1"]);
  models.workerJoined(fakeRecord({}, "w1"));
  expect(holders().sort()).toEqual(["w1", "w2"]);
  models.workerLeft("w2");
  models.forgetDeserted(100, 1000);
  models.forgetDeserted(1099, 1000);
  expect(holders()).toEqual(["w1", "w2"]);
  models.forgetDeserted(1100, 1000);
  expect(holders()).toEqual(["w1"]);
});

test("blobs that cannot be used make the model broken, and say why", () => {
  const { models } = build();
  models.workerJoined(fakeRecord({ tokenizer_blob: "t" }));
  expect(models.blobArrived("t", Uint8Array.of(0))).toEqual(["toy"]);
  expect(models.state("toy")).toBe("broken");
  expect(models.whyBroken("toy")).toBe("bad vocabulary");
  expect(models.wantedBlobs()).toEqual([]);
});

test("a worker that comes back with another model leaves the old one", () => {
  const { models } = build();
  models.workerJoined(fakeRecord({ name: "a" }, "w1"));
  models.workerJoined(fakeRecord({ name: "b" }, "w1"));
  expect([models.workers("a"), models.workers("b")]).toEqual([0, 1]);
  models.workerJoined(fakeRecord({ name: "b", context_length: 50 }, "w1"));
  expect(models.get("b")?.card.context_length).toBe(50);
});
