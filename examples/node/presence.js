// That this replica lives, what it owns and what is watched here, as others read it in Redis.
//
// All three carry the heartbeat's TTL and are renewed with each beat. So nobody has to clean up behind a killed replica.

import { bug } from './bugs.js';
import { HEARTBEAT_INTERVAL_MS, HEARTBEAT_TTL_S, keys } from './redis.js';

export class Presence {
  #timer;

  constructor({ redis, instance, gadgets, streams }) {
    this.redis = redis;
    this.instance = instance;
    this.gadgets = gadgets;
    this.streams = streams;
  }

  /** Beats at once and then every interval; `afterwards()` is called after each beat but the first. */
  async begin(afterwards) {
    if (!bug('late-heartbeat')) await this.#beat();
    this.#timer = setInterval(async () => {
      try {
        await this.#beat();
        await afterwards();
      } catch (error) {
        console.error(`heartbeat: ${error.message}`);
      }
    }, HEARTBEAT_INTERVAL_MS);
  }

  /** Takes everything back at once, for a replica that leaves. */
  async end() {
    clearInterval(this.#timer);
    const watched = this.streams.watched().map(keys.websocket);
    await this.redis.del(keys.heartbeat(this.instance), keys.owned(this.instance), ...watched);
  }

  async #beat() {
    const life = bug('dead-keys-stay') ? [] : ['EX', HEARTBEAT_TTL_S];
    const owned = keys.owned(this.instance);
    const beat = this.redis.multi().set(keys.heartbeat(this.instance), Math.floor(Date.now() / 1000), ...life);
    const live = this.gadgets.live();
    if (live.length) beat.sadd(owned, ...live);
    if (life.length) beat.expire(owned, HEARTBEAT_TTL_S);
    for (const id of this.streams.watched()) beat.set(keys.websocket(id), this.instance, ...life);
    await beat.exec();
  }
}
