/** A host as it stands in a URL: IPv6 addresses in brackets, a zone's % escaped (RFC 6874). */
export function urlHost(host: string): string {
  if (!host.includes(":") || host.startsWith("[")) return host;
  return `[${host.replace("%", "%25")}]`;
}

export function httpOrigin(host: string, port: number, tls: boolean): string {
  return `${tls ? "https" : "http"}://${urlHost(host)}:${port}`;
}
