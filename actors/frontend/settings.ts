/**
 * The face of `frontend` for settings: what checks them before there is a door. It loads nothing
 * that answers requests, so that the root stays small.
 */
export { type KeyRule, keyHash, plainKey } from "./access/key-rule.ts";
export { placeOf, tablePaths } from "./api/paths.ts";
export { FOUND_PARSER, parserRule } from "./models/parser-rule.ts";
export { type RequestTemplate, readRequestTemplate } from "./prompt/request-template.ts";
