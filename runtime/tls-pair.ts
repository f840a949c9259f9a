/** A certificate and its key, as texts in PEM; pure. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

export type TlsPair = { readonly cert: string; readonly key: string };

/** Throws an Error of one line that says what is wrong with which of the two files. */
export function checkTlsPair({ cert, key }: TlsPair, cert_path: string, key_path: string): void {
  let certificate: X509Certificate;
  let secret: KeyObject;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    throw new Error(
      `${cert_path} has no certificate in PEM: give one, -----BEGIN CERTIFICATE-----`,
    );
  }
  try {
    secret = createPrivateKey(key);
  } catch {
    throw new Error(
      `${key_path} has no private key in PEM that opens without a password: give one`,
    );
  }
  if (!certificate.checkPrivateKey(secret)) {
    throw new Error(`${key_path} is not the key of the certificate in ${cert_path}: give its own`);
  }
}
