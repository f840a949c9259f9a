import { expect, test } from "bun:test";
import { tcpAddress, tcpPlaceOf } from "../../../runtime/transport/tcp-address.ts";
import { TransportError } from "../../../runtime/transport/transport.ts";

test("hosts and ports come out of an address as they went in, IPv6 with its zone too", () => {
  for (const host of ["10.0.0.1", "node-3.example", "fe80::1", "fe80::1%eth0"]) {
    expect(tcpPlaceOf(tcpAddress(host, 7000))).toEqual({ host, port: 7000 });
  }
  expect(tcpPlaceOf("unix:/run/x.sock")).toBeUndefined();
});

test("what is no place is refused", () => {
  for (const address of ["tcp:", "tcp:host", "tcp:host:", "tcp:host:70000", "tcp:a:b:1"]) {
    expect(() => tcpPlaceOf(address)).toThrow(TransportError);
  }
});
