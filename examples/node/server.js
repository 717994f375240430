// One replica: starts when Redis and PostgreSQL can be reached, serves, and leaves tidily on SIGTERM.
//
// Environment: PORT, REDIS_ADDR (host:port), POSTGRES_URL.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Api } from './api.js';
import { Gadgets } from './gadgets.js';
import { History } from './history.js';
import { Peers } from './peers.js';
import { Presence } from './presence.js';
import { connect } from './redis.js';
import { Sessions } from './sessions.js';
import { Streams } from './streams.js';

const EXPIRY_SCAN_MS = 30_000;
const KEEP_ALIVE_MS = 120_000; // longer than a proxy keeps idle connections, so that it never meets one just closed
const LEAVE_MS = 5_000;
const QUIET_MS = 500; // a proxy goes on sending requests for a moment after this replica left its list

const { PORT, REDIS_ADDR, POSTGRES_URL } = process.env;
for (const [name, value] of Object.entries({ PORT, REDIS_ADDR, POSTGRES_URL })) {
  if (!value) {
    console.error(`${name} is not set; see README.md`);
    process.exit(2);
  }
}

const instance = randomUUID();
process.once('SIGTERM', () => process.exit(0)); // until there is something to tidy up
const redis = await connect(REDIS_ADDR, 'commands');
const subscriber = await connect(REDIS_ADDR, 'messages');
const streams = new Streams(redis, instance);
const history = new History(
  POSTGRES_URL,
  (event) => streams.send(event),
  (id) => streams.isWatched(id),
);
const gadgets = new Gadgets({
  room: () => history.room(),
  take: (event) => history.take(event),
  returned: () => reconcile(),
});
const peers = new Peers(redis, subscriber, instance);
const sessions = new Sessions({ redis, instance, gadgets, streams, history, peers });
const presence = new Presence({ redis, instance, gadgets, streams });
const api = new Api({ sessions, gadgets, streams, history, redis });

let busy = 0;
let lastRequest = 0;
const server = createServer((request, response) => {
  busy += 1;
  lastRequest = performance.now();
  response.once('close', () => (busy -= 1));
  api.answer(request, response);
});
server.keepAliveTimeout = KEEP_ALIVE_MS;
server.on('upgrade', (request, socket, head) => api.upgrade(request, socket, head));

async function reconcile() {
  await sessions.reconcile().catch((error) => console.error(`reconcile: ${error.message}`));
}

async function expire() {
  await sessions.expire().catch((error) => console.error(`expire: ${error.message}`));
}

/** Serves until nothing more comes, then takes this replica out of Redis. The records of its sessions stay. */
async function leave() {
  lastRequest = performance.now();
  const until = lastRequest + LEAVE_MS;
  const left = () => Math.max(until - performance.now(), 0);
  while ((busy || performance.now() < lastRequest + QUIET_MS) && left()) await sleep(10);
  server.close();
  gadgets.halt();
  await history.drain(left());
  streams.leave();
  await Promise.race([presence.end(), sleep(left() + 500)]).catch((error) => console.error(`leaving: ${error.message}`));
  process.exit(0);
}

await history.open();
await peers.listen((id) => sessions.endHere(id, 'stopped'));
await presence.begin(reconcile);
console.log(`Session store initialized with instance ID: ${instance}`);
redis.on('ready', reconcile); // this replica may have been overruled while Redis was out of its reach
gadgets.begin();
setInterval(expire, EXPIRY_SCAN_MS);
process.removeAllListeners('SIGTERM');
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, leave);
server.listen(Number(PORT), '127.0.0.1', () => console.log(`listening on 127.0.0.1:${PORT}`));
