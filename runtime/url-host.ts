/** A host as it stands in a URL: IPv6 addresses in brackets, a zone's % escaped (RFC 6874). */
export function urlHost(host: string): string {
  if (!host.includes(":") || host.startsWith("[")) return host;
  return `[${host.replace("%", "%25")}]`;
}
