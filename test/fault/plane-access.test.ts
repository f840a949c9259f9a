/** Users, passwords, bearer secrets and TLS of real servers, from the URL or the environment. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { natsBus } from "../../runtime/real/nats-bus.ts";
import { redisClient } from "../../runtime/real/redis.ts";
import { describeWith, lacksProgram } from "../support/needs.ts";
import { natsServer, redisServer, stopServers } from "../support/plane-servers.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-access-"));
afterAll(async () => {
  await stopServers();
  rmSync(folder, { recursive: true, force: true });
});

/** A certificate for 127.0.0.1, signed by itself. */
function certificate(): { cert: string; key: string } {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"],
    ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-keyout", key, "-out", cert],
  ]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  return { cert, key };
}

type Env = Record<string, string>;

async function natsAnswers(url: string, env: Env = {}): Promise<string> {
  const bus = natsBus({ url, client_name: "test", env });
  try {
    await bus.ready(3_000);
    bus.answer("echo", (bytes) => bytes);
    return Buffer.from(await bus.ask("echo", Buffer.from("hello"), 1_000)).toString();
  } catch (error) {
    return (error as Error).message;
  } finally {
    await bus.close();
  }
}

async function redisAnswers(url: string, env: Env = {}): Promise<string> {
  const redis = redisClient({ url, client_name: "test", env });
  try {
    await redis.ready(3_000);
    return `${await redis.call("PING", [])}`;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await redis.close();
  }
}

describeWith(lacksProgram("nats-server"), "NATS", () => {
  test("user and password", async () => {
    const { port } = await natsServer(["--user", "u", "--pass", "p@ss"]);
    expect(await natsAnswers(`nats://u:p%40ss@127.0.0.1:${port}`)).toBe("hello");
    const env = { NATS_AUTH_USERNAME: "u", NATS_AUTH_PASSWORD: "p@ss" };
    expect(await natsAnswers(`nats://127.0.0.1:${port}`, env)).toBe("hello");
    expect(await natsAnswers(`nats://u:wrong@127.0.0.1:${port}`)).toMatch(/authorization/i);
  }, 40_000);

  test("a bearer's secret", async () => {
    const { port } = await natsServer(["--auth", "secret"]);
    expect(await natsAnswers(`nats://secret@127.0.0.1:${port}`)).toBe("hello");
    const env = { NATS_AUTH_TOKEN: "secret" };
    expect(await natsAnswers(`nats://127.0.0.1:${port}`, env)).toBe("hello");
    expect(await natsAnswers(`nats://127.0.0.1:${port}`)).toMatch(/authorization/i);
  }, 40_000);

  test("TLS, and no connection to whom the certificate does not name", async () => {
    const { cert, key } = certificate();
    const { port } = await natsServer(["--tls", "--tlscert", cert, "--tlskey", key]);
    expect(await natsAnswers(`tls://127.0.0.1:${port}?ca=${cert}`)).toBe("hello");
    expect(await natsAnswers(`tls://127.0.0.1:${port}`)).not.toBe("hello");
    const plain = await natsServer();
    expect(await natsAnswers(`tls://127.0.0.1:${plain.port}?ca=${cert}`)).toMatch(/tls/i);
  }, 40_000);
});

describeWith(lacksProgram("redis-server"), "Redis", () => {
  test("a password, and a user", async () => {
    const { port } = await redisServer(["--requirepass", "p@ss"]);
    expect(await redisAnswers(`redis://:p%40ss@127.0.0.1:${port}`)).toBe("PONG");
    expect(await redisAnswers(`redis://default:p%40ss@127.0.0.1:${port}/2`)).toBe("PONG");
    const env = { REDIS_PASSWORD: "p@ss" };
    expect(await redisAnswers(`redis://127.0.0.1:${port}`, env)).toBe("PONG");
    expect(await redisAnswers(`redis://:wrong@127.0.0.1:${port}`)).toMatch(/WRONGPASS|NOAUTH/);
    expect(await redisAnswers(`redis://127.0.0.1:${port}`)).toMatch(/NOAUTH/);
  }, 40_000);

  test("TLS", async () => {
    const { cert, key } = certificate();
    const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
    const { port } = await redisServer(["--tls-auth-clients", "no", ...files], "127.0.0.1", true);
    expect(await redisAnswers(`rediss://127.0.0.1:${port}?ca=${cert}`)).toBe("PONG");
    expect(await redisAnswers(`rediss://127.0.0.1:${port}`)).not.toBe("PONG");
  }, 40_000);
});
