/** The door over TLS: a streamed answer, a certificate that changes, pairs that are none. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import OpenAI, { type ClientOptions } from "openai";
import { type Cluster, runCluster, startCluster, until } from "../../support/cluster.ts";
import { describeWith, lacksProgram } from "../../support/needs.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-tls-"));
const cert = join(folder, "tls.crt");
const key = join(folder, "tls.key");

/** A certificate of its own signer for this machine. */
function make(name: string): { cert: string; key: string } {
  const made = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const about = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  const out = ["-days", "2", "-keyout", made.key, "-out", made.cert];
  const { exitCode } = Bun.spawnSync(["openssl", "req", "-x509", ...kind, ...about, ...out]);
  expect(exitCode).toBe(0);
  return made;
}

function put(from: string, to: string): void {
  writeFileSync(`${to}.new`, readFileSync(from));
  renameSync(`${to}.new`, to);
}

/** The name in the certificate that a new connection is shown. */
const shownBy = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const { hostname: host, port } = new URL(url);
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on("error", reject);
  });

describeWith(lacksProgram("openssl"), "TLS", () => {
  let cluster: Cluster;
  let pairs: Record<"one" | "two", { cert: string; key: string }>;
  beforeAll(async () => {
    pairs = { one: make("one"), two: make("two") };
    put(pairs.one.cert, cert);
    put(pairs.one.key, key);
    const flags = ["--engine", "mocker", "--speedup-ratio", "1", "--frontends", "2"];
    cluster = await startCluster([...flags, "--tls-cert-path", cert, "--tls-key-path", key]);
  }, 60_000);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const clientOf = (name: "one" | "two") =>
    new OpenAI({
      ...{ baseURL: `${cluster.url}/v1`, apiKey: "none", maxRetries: 0 },
      fetchOptions: {
        tls: { ca: readFileSync(pairs[name].cert, "utf8") },
      } as ClientOptions["fetchOptions"],
    });
  const request = {
    model: "troupe-tiny",
    messages: [{ role: "user" as const, content: "Hi" }],
  };

  test("answers a client that trusts the certificate, and no other", async () => {
    expect(cluster.url).toStartWith("https://");
    const { choices } = await clientOf("one").chat.completions.create({
      ...request,
      max_tokens: 3,
    });
    expect(choices[0]?.finish_reason).toBe("length");
    const stranger = clientOf("two").models.list();
    const said = await stranger.then(
      () => "it trusted a stranger",
      (error: Error) => error.constructor.name,
    );
    expect(said).toBe("APIConnectionError");
  });

  test("a new certificate is taken while a stream goes on", async () => {
    const stream = await clientOf("one").chat.completions.create({
      ...{ ...request, max_tokens: 400, stream: true },
      stream_options: { include_usage: true },
    });
    const events = stream[Symbol.asyncIterator]();
    await events.next();
    // Half a change is none.
    put(pairs.two.cert, cert);
    await until("the complaint", 5_000, () => /is not the key of/.test(cluster.log()));
    expect(await shownBy(cluster.url)).toBe("one");
    put(pairs.two.key, key);
    // Either of two frontends may answer. The system resets who knocks at a listener in the moment
    // in which that is replaced, before anybody has accepted it.
    const looks = () => Array.from({ length: 8 }, () => shownBy(cluster.url).catch(() => "reset"));
    const shown = () => Promise.all(looks());
    await until("the new certificate", 10_000, async () =>
      (await shown()).every((name) => name === "two"),
    );
    let tokens: number | undefined;
    for (let next = await events.next(); next.done !== true; next = await events.next()) {
      tokens = next.value.usage?.completion_tokens ?? tokens;
    }
    expect(tokens).toBe(400);
    expect((await clientOf("two").models.list()).data).toHaveLength(1);
  }, 30_000);

  const wrong: readonly (readonly [string, () => readonly string[], RegExp])[] = [
    ["a certificate alone", () => ["--tls-cert-path", cert], /needs --tls-key-path/],
    [
      "the key of another",
      () => ["--tls-cert-path", pairs.one.cert, "--tls-key-path", pairs.two.key],
      /two\.key is not the key of the certificate in .*one\.crt/,
    ],
    [
      "no certificate",
      () => ["--tls-cert-path", pairs.one.key, "--tls-key-path", pairs.one.key],
      /one\.key has no certificate in PEM/,
    ],
    [
      "a file that is not there",
      () => ["--tls-cert-path", join(folder, "no"), "--tls-key-path", key],
      /--tls-cert-path: there is no readable file/,
    ],
  ];
  test.each(wrong)(
    "%s stops the start with one line",
    async (_what, args, says) => {
      const { code, stderr } = await runCluster([...args(), "--port", "0"]);
      expect([code, stderr.trim().split("\n").length]).toEqual([2, 1]);
      expect(stderr).toMatch(says);
    },
    20_000,
  );
});
