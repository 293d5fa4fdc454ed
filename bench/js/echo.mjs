// What bare Node can do: a WebSocket server that sends every message back.
//
//   node echo.mjs
//
// What answers the messages of one read leaves in one write: without that it would be half as fast.
import process from "node:process";
import { WebSocketServer } from "ws";
import { announce } from "./task.mjs";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
server.on("listening", () => announce(server.address()));
server.on("connection", (ws, request) => {
  const { socket } = request;
  let corked = false;
  const uncork = () => {
    corked = false;
    socket.uncork();
  };
  socket.setNoDelay(true);
  ws.on("error", () => {}); // the bench has left
  ws.on("message", (data) => {
    if (!corked) {
      corked = true;
      socket.cork();
      process.nextTick(uncork);
    }
    ws.send(data);
  });
});
