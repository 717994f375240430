// The lock of one session: one holder at a time over all replicas, released by its holder only, gone after its TTL.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { bug } from './bugs.js';
import { unavailable } from './errors.js';
import { keys } from './redis.js';

const TTL_MS = 10_000;
const WAIT_MS = 5_000;
const POLL_MS = 20;

const RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
const GUARD = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end ";

/** Runs `section(token)` under the lock of a session. Raises 503 if the lock cannot be had in time. */
export async function underLock(redis, id, section) {
  if (bug('no-lock')) return section('');
  const token = randomUUID();
  try {
    await acquire(redis, keys.lock(id), token);
    return await section(token);
  } finally {
    // Also after a failed acquire: its command may have reached Redis all the same.
    await release(redis, keys.lock(id), token).catch((error) => console.error(`lock of ${id}: ${error.message}`));
  }
}

/**
 * Carries out `script` if the lock is still held with this token, in one step; whether it was.
 *
 * A holder that was held up beyond the TTL is refused here, whatever it believes. KEYS[1] and ARGV[1] are the lock's.
 */
export async function commit(redis, id, token, script, keyNames, args) {
  const guarded = `${bug('no-lock') ? '' : GUARD}${script} return 1`;
  return (await redis.eval(guarded, 1 + keyNames.length, keys.lock(id), ...keyNames, token, ...args)) === 1;
}

async function acquire(redis, key, token) {
  const giveUpAt = performance.now() + WAIT_MS;
  while ((await redis.set(key, token, 'PX', TTL_MS, 'NX')) !== 'OK') {
    // A command that was sent again after a reconnect is refused by its own first arrival.
    if ((await redis.get(key)) === token) return;
    if (performance.now() >= giveUpAt) throw unavailable('the session is locked by another request');
    await sleep(POLL_MS * (0.5 + Math.random()));
  }
}

async function release(redis, key, token) {
  if (bug('unlock-plain-del')) await redis.del(key);
  else await redis.eval(RELEASE, 1, key, token);
}
