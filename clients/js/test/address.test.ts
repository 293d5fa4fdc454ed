import { expect, test } from "vitest";
import { byAddress, byId, parseSegment, segmentOf } from "../src/address.ts";
import { vectors } from "./vectors.ts";

interface AddressVector {
  name: string;
  segment: string;
  type: string;
  key: string[];
  write?: boolean;
}

const { addresses, ids } = vectors("address") as { addresses: AddressVector[]; ids: { id: string }[] };

test.each(addresses.map((one) => [one.name, one] as const))("%s", (_, { segment, type, key, write }) => {
  expect(parseSegment(segment)).toStrictEqual({ namespace: "", type, key });
  if (write !== false) expect(segmentOf(byAddress(type, key, "get"))).toBe(segment);
});

test("keys are lists: a text alone is a list of one, none is the empty one", () => {
  expect(segmentOf(byAddress("counter", undefined, "get"))).toBe("counter");
  expect(segmentOf(byAddress("counter", "a,b", "get"))).toBe("counter:a%2Cb");
  expect(segmentOf(byAddress("counter", "", "get"))).toBe("counter:");
});

test("an id is a segment of its own", () => {
  for (const { id } of ids) expect(segmentOf(byId(id))).toBe(`@${id}`);
});

test("what the wire cannot carry is refused at the use", () => {
  for (const target of [byAddress("", [], "get"), byAddress("a", ["\ud800"], "get"), byId(""), byId("\udc00")]) {
    expect(target.invalid).toMatchObject({ group: "request", code: "invalid_address", ran: "no" });
  }
});
