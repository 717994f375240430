// The connection to Redis, the names of the keys, and the times that go with them.

import { Redis } from 'ioredis';

export const HEARTBEAT_INTERVAL_MS = 5_000;
export const HEARTBEAT_TTL_S = 15;

export const keys = {
  active: 'sessions:active',
  session: (id) => `session:${id}`,
  owned: (instance) => `backend:${instance}:sessions`,
  heartbeat: (instance) => `backend:${instance}:heartbeat`,
  websocket: (id) => `ws:${id}`,
  lock: (id) => `lock:session:${id}`,
  inbox: (instance) => `backend:${instance}:inbox`, // a channel, not a key
};

/**
 * Connects, and waits as long as it takes. Later, commands wait while Redis is away, about two seconds, and then fail.
 *
 * All commands of this process share one connection, so they arrive in the order in which they were given. Presence and
 * deletion rely on it: a heartbeat that names a session must not overtake the end of that session. For the same reason
 * scripts are sent whole (EVAL): a repeat after NOSCRIPT would come too late.
 */
export async function connect(address, purpose) {
  const at = address.lastIndexOf(':');
  const redis = new Redis({
    host: address.slice(0, at),
    port: Number(address.slice(at + 1)),
    retryStrategy: () => 50,
    maxRetriesPerRequest: 40,
    connectTimeout: 2_000,
    commandTimeout: 5_000,
  });
  let down = false;
  redis.on('error', (error) => {
    if (!down) console.error(`Redis (${purpose}) is away: ${error.message}`);
    down = true;
  });
  redis.on('ready', () => {
    if (down) console.log(`Redis (${purpose}) is back`);
    down = false;
  });
  await new Promise((resolve) => redis.once('ready', resolve));
  return redis;
}
