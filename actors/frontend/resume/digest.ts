/** Short names of texts. */
import { createHash } from "node:crypto";

/** 16 bytes. */
export const digestBytes = (text: string): Buffer =>
  createHash("sha256").update(text, "utf8").digest().subarray(0, 16);

/** 128 bits in base64url. */
export const digest = (text: string): string => digestBytes(text).toString("base64url");
