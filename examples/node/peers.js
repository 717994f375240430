// What replicas ask of each other: only an owner can stop its gadget, so whoever deletes a session asks it to.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { keys } from './redis.js';

const ANSWER_MS = 2_000; // after that an owner is overruled: the session goes without its answer
const REPEAT_MS = 300; // a message is lost when Redis restarts; stopping twice does no harm
const ABSENT_MS = 500; // an owner that reconnects may be out of reach for a moment

export class Peers {
  #waiting = new Map(); // request -> resolve
  #absent = new Map(); // instance -> { since, seen }

  constructor(redis, subscriber, instance) {
    this.redis = redis;
    this.subscriber = subscriber;
    this.instance = instance;
  }

  /** Begins to answer; `stopHere(id)` stops a session's gadget and resolves when nothing more comes from it. */
  async listen(stopHere) {
    this.subscriber.on('message', async (_, text) => {
      try {
        const { stop, request, from, done } = JSON.parse(text);
        if (done) return this.#waiting.get(done)?.(true);
        await stopHere(stop);
        await this.redis.publish(keys.inbox(from), JSON.stringify({ done: request }));
      } catch (error) {
        console.error(`a message of a peer failed: ${error.message}`);
      }
    });
    await this.subscriber.subscribe(keys.inbox(this.instance));
  }

  /** Has the owner of a session stop its gadget; false if the owner is dead or does not answer in time. */
  async stop(owner, id) {
    const request = randomUUID();
    const text = JSON.stringify({ stop: id, request, from: this.instance });
    const answered = new Promise((resolve) => this.#waiting.set(request, resolve));
    const until = performance.now() + ANSWER_MS;
    try {
      while (performance.now() < until) {
        const receivers = await this.redis.publish(keys.inbox(owner), text);
        if (receivers) this.#absent.delete(owner);
        else if (await this.#isDead(owner)) return false;
        if (await Promise.race([answered, sleep(receivers ? REPEAT_MS : 50, false)])) return true;
      }
      return false;
    } finally {
      this.#waiting.delete(request);
    }
  }

  /** Whether a replica that nobody listens for is dead: without a heartbeat, or away for longer than a reconnect takes. */
  async #isDead(owner) {
    if (!(await this.redis.exists(keys.heartbeat(owner)))) return true;
    const now = performance.now();
    const before = this.#absent.get(owner);
    const since = before && now - before.seen < 10 * ABSENT_MS ? before.since : now;
    this.#absent.set(owner, { since, seen: now });
    return now - since > ABSENT_MS;
  }
}
