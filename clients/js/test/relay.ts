import { createSocket } from "node:dgram";
import type { Socket as Datagrams } from "node:dgram";
import { once } from "node:events";
import { createServer, connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** Relay stands in front of a gateway's port, TCP and UDP, and can drop all that comes by UDP. */
export interface Relay {
  readonly url: string;
  readonly port: number;
  /** Nothing gets through by UDP, in either direction, and nobody is told. */
  blocked: boolean;
  /** Datagrams that were passed on, and TCP connections that were made. */
  readonly passed: { readonly datagrams: number; readonly connections: number };
  stop(): Promise<void>;
}

export async function startRelay(to: number): Promise<Relay> {
  const passed = { datagrams: 0, connections: 0 };
  const relay = { url: "", port: 0, blocked: false, passed, stop };
  const open = new Set<Socket>();
  const server = createServer((client) => {
    passed.connections++;
    const gateway = connect(to, "127.0.0.1");
    for (const socket of [client, gateway]) {
      open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        open.delete(socket);
        client.destroy();
        gateway.destroy();
      });
    }
    client.pipe(gateway).pipe(client);
  });
  /** The relay's own socket for each client. */
  const onward = new Map<number, Datagrams>();
  const entry = createSocket("udp4");
  entry.on("message", (data, { port, address }) => {
    if (relay.blocked) return;
    let socket = onward.get(port);
    if (socket === undefined) {
      socket = createSocket("udp4");
      onward.set(port, socket);
      socket.on("error", () => {});
      socket.on("message", (answer) => {
        if (!relay.blocked) entry.send(answer, port, address);
      });
    }
    passed.datagrams++;
    socket.send(data, to, "127.0.0.1");
  });
  async function stop() {
    for (const socket of onward.values()) socket.close();
    entry.close();
    server.close();
    for (const socket of open) socket.destroy();
    await once(server, "close");
  }

  // One port for both: one that TCP has can be taken for UDP.
  for (;;) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    relay.port = (server.address() as AddressInfo).port;
    entry.bind(relay.port, "127.0.0.1");
    const taken = await Promise.race([once(entry, "listening").then(() => false), once(entry, "error").then(() => true)]);
    if (!taken) break;
    server.close();
    await once(server, "close");
  }
  entry.on("error", () => {});
  relay.url = `http://127.0.0.1:${relay.port}`;
  return relay;
}
