import { once } from "node:events";
import { createServer, request } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import type { Duplex } from "node:stream";

/** Proxy is one in front of a gateway, as some networks have it: it knows requests only. */
export interface Proxy {
  readonly url: string;
  /** It passes WebSockets on, too. */
  upgrades: boolean;
  /** Paths that were requested, in order. */
  readonly asked: string[];
  /** WebSockets that were asked for. */
  readonly refused: number;
  /** Ends the answers that are under way. */
  cut(): void;
  stop(): Promise<void>;
}

export async function startProxy(port: number): Promise<Proxy> {
  const streams = new Set<ServerResponse>();
  const tunnels = new Set<Duplex>();
  const proxy = { url: "", upgrades: false, asked: [] as string[], refused: 0, cut, stop };
  const server = createServer((from, to) => {
    proxy.asked.push(`${from.method} ${from.url}`);
    const onward = request({ host: "127.0.0.1", port, method: from.method, path: from.url, headers: from.headers }, (answer: IncomingMessage) => {
      to.writeHead(answer.statusCode as number, answer.headers);
      to.flushHeaders();
      answer.on("error", () => to.destroy());
      answer.pipe(to);
    });
    streams.add(to);
    to.on("close", () => {
      streams.delete(to);
      onward.destroy();
    });
    onward.on("error", () => to.destroy());
    from.pipe(onward);
  });
  server.on("upgrade", (from: IncomingMessage, client: Duplex) => {
    client.on("error", () => {});
    if (!proxy.upgrades) {
      proxy.refused++;
      client.end("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    const gateway = connect(port, "127.0.0.1", () => {
      const { rawHeaders: raw } = from;
      const lines = raw.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${raw[i + 1]}`] : []));
      gateway.write(`${from.method} ${from.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      gateway.pipe(client).pipe(gateway);
    });
    tunnels.add(client);
    gateway.on("error", () => client.destroy());
    gateway.on("close", () => client.destroy());
    client.on("close", () => gateway.destroy());
  });
  function cut() {
    for (const stream of streams) stream.destroy();
  }
  async function stop() {
    server.close();
    server.closeAllConnections();
    for (const tunnel of tunnels) tunnel.destroy();
    await once(server, "close");
  }
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}
