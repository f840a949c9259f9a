export function htmlReport(_t: string, _r: unknown, _x: unknown): string {
  return "";
}
