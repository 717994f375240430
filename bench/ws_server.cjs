// A server as anybody would write it with the package `ws`: so many times a second one text to every client.
//
//     node ws_server.cjs EVENTS_A_SECOND FRAME_BYTES      (in a folder where `ws` is installed)
//
// It prints its port and ends when its standard input does.
"use strict";

const { createRequire } = require("node:module");
const { WebSocketServer } = createRequire(`${process.cwd()}/package.json`)("ws");

const EVENT = '{"type":"event"';
const FRAME_HEADER_BYTES = 4;
const [eventsPerS, frameBytes] = process.argv.slice(2).map(Number);
const text = EVENT.padEnd(frameBytes - FRAME_HEADER_BYTES, " ");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false }, () => {
  console.log(server.address().port);
});
let due = performance.now();
function tick() {
  for (const client of server.clients) client.send(text);
  due += 1000 / eventsPerS;
  setTimeout(tick, due - performance.now());
}
tick();
process.stdin.resume().on("end", () => process.exit(0));
