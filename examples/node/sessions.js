// The sessions: created and deleted in critical sections, listed from Redis, which all replicas share.
//
// A replica owns the sessions that it created and runs their gadgets. When it dies, their records stay until somebody
// deletes them or they time out; the gadgets are gone.

import { randomUUID } from 'node:crypto';
import { bug } from './bugs.js';
import { notFound, unavailable } from './errors.js';
import { commit, underLock } from './lock.js';
import { HEARTBEAT_TTL_S, keys } from './redis.js';

const TIMEOUT_S = 1_800;
const SETTLE_MS = 1_000;
const MEMORY_MS = 1_000; // of the bug list-local

const WRITE = `
  redis.call('SET', KEYS[2], ARGV[2]) redis.call('SADD', KEYS[3], ARGV[3]) redis.call('SADD', KEYS[4], ARGV[3])
  if ARGV[4] ~= '' then redis.call('EXPIRE', KEYS[4], ARGV[4]) end`;
const REMOVE = `
  redis.call('DEL', KEYS[2], KEYS[5]) redis.call('SREM', KEYS[3], ARGV[2]) redis.call('SREM', KEYS[4], ARGV[2])`;

export class Sessions {
  #memory = new Set(); // of the bug list-local
  #memoryUntil = 0;

  constructor({ redis, instance, gadgets, streams, history, peers }) {
    Object.assign(this, { redis, instance, gadgets, streams, history, peers });
  }

  /** Starts a gadget and makes its session. Raises 503 if the lock or Redis cannot be had: then there is no session. */
  async create({ type, namespace, podName }) {
    const session = {
      id: randomUUID(),
      type,
      namespace,
      podName,
      status: 'running',
      startTime: new Date().toISOString(),
      timeout: TIMEOUT_S * 1e9, // nanoseconds
      owner: this.instance,
    };
    await underLock(this.redis, session.id, async (token) => {
      if (await this.redis.exists(keys.session(session.id))) throw unavailable('the id is taken; try again');
      this.gadgets.start(session);
      try {
        if (!(await this.#write(session, token))) throw unavailable('the lock was lost');
      } catch (error) {
        this.gadgets.stop(session.id);
        await this.#forget(session.id); // a commit of unknown outcome may have made it
        throw error;
      }
      this.gadgets.goLive(session.id);
    });
    this.#memory.add(session.id);
    return session;
  }

  /** Stops a session's gadget wherever it runs, then removes the session. Raises 404 if there is none. */
  async delete(id) {
    await underLock(this.redis, id, async (token) => {
      const session = await this.find(id);
      if (!session) throw notFound(`no session ${id}`);
      if (session.owner === this.instance) await this.endHere(id, 'stopped');
      else if (!bug('delete-not-owner')) await this.peers.stop(session.owner, id);
      const names = [keys.session(id), keys.active, keys.owned(session.owner), keys.websocket(id)];
      if (!(await commit(this.redis, id, token, REMOVE, names, [id]))) throw unavailable('the lock was lost; try again');
    });
    this.#memory.delete(id);
  }

  async list() {
    const ids = bug('list-local') ? await this.#remembered() : await this.redis.smembers(keys.active);
    if (!ids.length) return [];
    const records = await this.redis.mget(ids.map(keys.session));
    const sessions = records.filter((record) => record !== null).map((record) => JSON.parse(record));
    return sessions.sort((a, b) => a.startTime.localeCompare(b.startTime));
  }

  /** The session's record, or null. */
  async find(id) {
    return JSON.parse(await this.redis.get(keys.session(id)));
  }

  /** Ends what runs here for a session; afterwards neither its viewers nor the history get anything more of it. */
  async endHere(id, reason) {
    this.gadgets.stop(id);
    await this.history.settle(id, SETTLE_MS);
    this.streams.end(id, reason);
  }

  /** Stops gadgets whose session was deleted while this replica stood still or was cut off, and was overruled. */
  async reconcile() {
    const ids = this.gadgets.live();
    if (!ids.length || bug('delete-not-owner')) return;
    const there = await this.redis.mget(ids.map(keys.session));
    const gone = ids.filter((_, index) => there[index] === null);
    await Promise.all(gone.map((id) => this.endHere(id, 'stopped')));
    if (gone.length) await this.redis.srem(keys.owned(this.instance), ...gone);
  }

  /** Deletes sessions that have outlived their timeout, those of dead replicas too. */
  async expire() {
    for (const { id, startTime, timeout } of await this.list()) {
      const over = Date.parse(startTime) + timeout / 1e6 < Date.now();
      if (over) await this.delete(id).catch((error) => console.error(`timeout of ${id}: ${error.message}`));
    }
  }

  #write(session, token) {
    const names = [keys.session(session.id), keys.active, keys.owned(this.instance)];
    const life = bug('dead-keys-stay') ? '' : HEARTBEAT_TTL_S;
    return commit(this.redis, session.id, token, WRITE, names, [JSON.stringify(session), session.id, life]);
  }

  async #forget(id) {
    const undo = this.redis.multi().del(keys.session(id)).srem(keys.active, id).srem(keys.owned(this.instance), id);
    await undo.exec().catch((error) => console.error(`a failed create left ${id}: ${error.message}`));
  }

  async #remembered() {
    if (performance.now() > this.#memoryUntil) {
      this.#memory = new Set(await this.redis.smembers(keys.active));
      this.#memoryUntil = performance.now() + MEMORY_MS;
    }
    return [...this.#memory];
  }
}
