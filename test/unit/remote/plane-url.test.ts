/** URLs of shared servers: what they say, and what nobody may read in an error. */
import { describe, expect, test } from "bun:test";
import { dumpConfig } from "../../../cluster/settings/dump-config.ts";
import { parseFlags } from "../../../cluster/settings/read-values.ts";
import { settle } from "../../../cluster/settings/settings.ts";
import { SettingsError } from "../../../cluster/settings/settings-error.ts";
import { natsSchemes, planeUrl, planeUrls, redisSchemes } from "../../../runtime/plane-url.ts";

test("host, port, user, password, TLS and its files", () => {
  expect(planeUrl("nats://h", natsSchemes)).toMatchObject({ host: "h", port: 4222, tls: false });
  expect(planeUrl("tls://u:p%40ss@h:99?ca=/etc/ca.pem", natsSchemes)).toEqual({
    host: "h",
    port: 99,
    tls: true,
    user: "u",
    password: "p@ss",
    path: "",
    tls_files: { ca: "/etc/ca.pem" },
    name: "tls://h:99",
  });
  expect(planeUrl("nats://secret@h", natsSchemes)).toMatchObject({ password: "secret" });
  expect(planeUrl("nats://secret@h", natsSchemes).user).toBeUndefined();
  expect(planeUrl("redis://:pw@h/3", redisSchemes)).toMatchObject({ password: "pw", path: "3" });
  expect(planeUrl("redis://[::1]:7", redisSchemes)).toMatchObject({ host: "::1", port: 7 });
  expect(planeUrls("nats://a, nats://b:5", natsSchemes).map(({ port }) => port)).toEqual([4222, 5]);
});

test("what is wrong is said without the password", () => {
  for (const [text, said] of [
    ["http://user:geheim@h", /no URL like nats:\/\//],
    ["nats://u:geheim@h:70000", /port 70000/],
    ["nats://u:geheim@h?cafile=x", /"cafile" is not understood/],
    ["h:4222", /no URL like/],
  ] as const) {
    let message = "";
    try {
      planeUrl(text, natsSchemes);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(said);
    expect(message).not.toContain("geheim");
  }
});

describe("settings", () => {
  const planes = ["--nats", "nats://u:geheim@h", "--redis", "redis://:geheim@h"];
  const read = (...args: string[]) => settle([parseFlags(args)], []);
  const why = (...args: string[]) => {
    try {
      read(...args);
    } catch (error) {
      expect(error).toBeInstanceOf(SettingsError);
      return (error as Error).message;
    }
    return "";
  };

  test("both planes or none, and a role only with them", () => {
    expect(read().planes).toBeUndefined();
    expect(read(...planes, "--role", "worker").role).toBe("worker");
    expect(why("--nats", "nats://h")).toMatch(/--nats needs --redis too/);
    expect(why("--redis", "redis://h")).toMatch(/--redis needs --nats too/);
    expect(why("--role", "worker")).toMatch(/--role worker joins a cluster.*--nats and --redis/);
    expect(why("--nats", "h:4222", "--redis", "redis://h")).toMatch(/no URL like nats/);
    expect(why("--namespace", "a b")).toMatch(/--namespace is made of letters/);
  });

  test("a dumped configuration hides passwords", () => {
    const dumped = dumpConfig(read(...planes));
    expect(dumped).toContain("nats://<hidden>@h");
    expect(dumped).not.toContain("geheim");
  });
});
