/**
 * URLs of servers that several machines share: `nats://user:password@host:4222`, `tls://…`,
 * `redis://…`, `rediss://…`. User and password may stand in the URL or in the environment; files
 * for TLS are named in its query: `?ca=/etc/ca.pem&cert=…&key=…`.
 */

export type PlaneUrl = {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly user: string | undefined;
  /** Without a user: NATS takes it as a bearer's secret. */
  readonly password: string | undefined;
  /** Path behind the host: a database's number. */
  readonly path: string;
  readonly tls_files: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** For people: no secrets in it. */
  readonly name: string;
};

export class PlaneUrlError extends Error {
  override readonly name = "PlaneUrlError";
  readonly code = "bad_url";
}

type Schemes = { readonly plain: string; readonly tls: string; readonly port: number };

export const natsSchemes: Schemes = { plain: "nats", tls: "tls", port: 4222 };
export const redisSchemes: Schemes = { plain: "redis", tls: "rediss", port: 6379 };

/** One URL, or several of one cluster with commas between them. Throws PlaneUrlError. */
export function planeUrls(text: string, schemes: Schemes): readonly PlaneUrl[] {
  return text.split(",").map((part) => planeUrl(part.trim(), schemes));
}

export function planeUrl(text: string, schemes: Schemes): PlaneUrl {
  const { plain, tls, port } = schemes;
  const shape = `${plain}://[user:password@]host[:${port}], or ${tls}:// for TLS`;
  const parts =
    /^([a-z]+):\/\/(?:([^@/]*)@)?(\[[^\]]+\]|[^:/?]+)(?::(\d+))?(\/[^?]*)?(\?.*)?$/.exec(text);
  const scheme = parts?.[1] ?? "";
  if (parts === null || (scheme !== plain && scheme !== tls)) {
    // The text may hold a password: only what is in front of it is shown.
    const shown = text.includes("@") ? `${scheme || "…"}://…@${text.split("@").at(-1)}` : text;
    throw new PlaneUrlError(`"${shown}" is no URL like ${shape}`);
  }
  const [, , secret, host = "", given = "", path = "", query = ""] = parts;
  const { user, password } = userOf(secret);
  const params = new URLSearchParams(query);
  const known = ["ca", "cert", "key"];
  const unknown = [...params.keys()].find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new PlaneUrlError(
      `"${unknown}" is not understood in a URL; there are ?ca=, cert= and key=`,
    );
  }
  const found = given === "" ? port : Number(given);
  if (found < 1 || found > 65_535) throw new PlaneUrlError(`port ${given} is not from 1 to 65535`);
  return {
    host: host.replace(/^\[|\]$/g, ""),
    port: found,
    tls: scheme === tls,
    user,
    password,
    path: path.replace(/^\//, ""),
    tls_files: Object.fromEntries([...params].filter(([key]) => known.includes(key))),
    name: `${scheme}://${host}:${found}`,
  };
}

function userOf(secret: string | undefined): { user?: string; password?: string } {
  if (secret === undefined || secret === "") return {};
  const colon = secret.indexOf(":");
  const decode = (part: string) => decodeURIComponent(part);
  if (colon < 0) return { password: decode(secret) };
  const user = decode(secret.slice(0, colon));
  return { ...(user === "" ? {} : { user }), password: decode(secret.slice(colon + 1)) };
}
