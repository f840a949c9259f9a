/**
 * Regular expressions of JSON Schema's `format`. Each fits a part of what the format allows, never
 * more: a date is one of the calendar, an address has ASCII alone. RFC 3339, 4122, 5321, 3986.
 */
const DATE =
  "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])" +
  "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))";
const CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?";
const TIME = `${CLOCK}(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])`;
const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?";
const HOST = `${LABEL}(?:\\.${LABEL}){0,6}`;
const BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
const HEX4 = "[0-9a-fA-F]{1,4}";
const URI_CHAR = "(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})";
const PATH = `(?:/${URI_CHAR}*)*`;
const TAIL = `(?:\\?(?:${URI_CHAR}|[/?])*)?(?:#(?:${URI_CHAR}|[/?])*)?`;
const URI = `[a-z][a-z0-9+.-]{0,15}://${HOST}(?::[0-9]{1,4})?${PATH}${TAIL}`;

export const STRING_FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  "date-time": `${DATE}T${TIME}`,
  duration:
    "P(?:[0-9]{1,6}W|(?:[0-9]{1,6}Y(?:[0-9]{1,6}M(?:[0-9]{1,6}D)?)?|[0-9]{1,6}M(?:[0-9]{1,6}D)?" +
    "|[0-9]{1,6}D)(?:T[0-9]{1,6}H(?:[0-9]{1,6}M(?:[0-9]{1,6}S)?)?)?" +
    "|T(?:[0-9]{1,6}H(?:[0-9]{1,6}M(?:[0-9]{1,6}S)?)?|[0-9]{1,6}M(?:[0-9]{1,6}S)?|[0-9]{1,6}S))",
  email: `[a-zA-Z0-9_+-]+(?:\\.[a-zA-Z0-9_+-]+){0,4}@${LABEL}(?:\\.${LABEL}){0,4}\\.[a-zA-Z]{2,12}`,
  hostname: HOST,
  ipv4: `${BYTE}(?:\\.${BYTE}){3}`,
  ipv6: `(?:${HEX4}:){7}${HEX4}|::(?:${HEX4}:){0,5}${HEX4}|(?:${HEX4}:){1,6}:${HEX4}`,
  uuid: "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
  uri: URI,
  "uri-reference": `${URI}|${PATH}`,
  "json-pointer": "(?:/(?:[a-zA-Z0-9._-]|~[01])*)*",
};
