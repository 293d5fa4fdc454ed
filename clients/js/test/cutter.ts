import { once } from "node:events";
import { createServer, connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** Cutter is a relay in front of a gateway, whose connections can be cut. */
export interface Cutter {
  readonly url: string;
  /** Connections that were made through it. */
  readonly made: number;
  /** Ends all connections at once. */
  cut(): void;
  /** Ends each connection when so many bytes went through it, to and from the gateway together; undefined: never. */
  cutAfter(bytes: (() => number) | undefined): void;
  /** Takes connections and passes nothing on; false: as before, for new ones. */
  mute(on: boolean): void;
  stop(): Promise<void>;
}

export async function startCutter(port: number): Promise<Cutter> {
  const open = new Set<Socket>();
  let budget: (() => number) | undefined;
  let muted = false;
  let made = 0;
  const server = createServer((client) => {
    made++;
    const gateway = connect(port, "127.0.0.1");
    let left = budget?.() ?? Number.POSITIVE_INFINITY;
    const end = () => {
      client.destroy();
      gateway.destroy();
      open.delete(client);
    };
    const relay = (from: Socket, to: Socket) => {
      from.on("data", (data: Buffer) => {
        if (muted) return;
        to.write(data.subarray(0, Math.max(0, left)));
        left -= data.length;
        if (left <= 0) setImmediate(end); // what was passed on gets away
      });
      from.on("error", end);
      from.on("close", end);
    };
    open.add(client);
    client.on("cut", end);
    relay(client, gateway);
    relay(gateway, client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => [...open].forEach((client) => client.emit("cut"));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get made() {
      return made;
    },
    cut,
    cutAfter(bytes) {
      budget = bytes;
    },
    mute(on) {
      muted = on;
    },
    async stop() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
