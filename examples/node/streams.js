// The WebSockets of the sessions that this replica owns, and the key ws:{id} that says that there are any.

import { WebSocketServer } from 'ws';
import { bug } from './bugs.js';
import { notFound } from './errors.js';
import { HEARTBEAT_TTL_S, keys } from './redis.js';

const BUFFER_BYTES_MAX = 1 << 20;
const FRAME_BYTES_MAX = 1 << 16;
const PING_MS = 30_000;
const CLOSE = { ended: 1000, leaving: 1012, slow: 4408 };

export class Streams {
  #rooms = new Map(); // session id -> { viewers, opening, marked, turn }
  #server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: FRAME_BYTES_MAX });

  constructor(redis, instance) {
    this.redis = redis;
    this.instance = instance;
    setInterval(() => this.#ping(), PING_MS).unref();
  }

  /** The sessions whose ws:{id} names this replica. */
  watched() {
    return [...this.#rooms].filter(([, room]) => room.marked).map(([id]) => id);
  }

  isWatched(id) {
    return Boolean(this.#rooms.get(id)?.viewers.size);
  }

  /** Completes a handshake. The key is there before the viewer hears that the stream is open. */
  async open(id, request, socket, head) {
    const room = this.#room(id);
    room.opening += 1;
    try {
      room.marked = true;
      const life = bug('dead-keys-stay') ? [] : ['EX', HEARTBEAT_TTL_S];
      await this.redis.set(keys.websocket(id), this.instance, ...life);
      if (this.#rooms.get(id) !== room) throw notFound('the session has just ended');
      this.#server.handleUpgrade(request, socket, head, (viewer) => this.#joined(id, room, viewer));
    } finally {
      room.opening -= 1;
      this.#cleared(id, room);
    }
  }

  /** Gives an event to every viewer of its session. */
  send(event) {
    const room = this.#rooms.get(event.sessionId);
    if (!room?.viewers.size) return;
    const text = JSON.stringify(event);
    let viewers = [...room.viewers];
    if (bug('viewers-compete')) viewers = [viewers[room.turn++ % viewers.length]];
    for (const viewer of viewers) {
      if (viewer.readyState !== viewer.OPEN) continue;
      if (viewer.bufferedAmount > BUFFER_BYTES_MAX) viewer.close(CLOSE.slow, 'reader too slow');
      else viewer.send(text);
    }
  }

  /** Tells the viewers of a session that it is over, and closes their sockets. */
  end(id, reason) {
    const room = this.#rooms.get(id);
    if (!room) return;
    this.#rooms.delete(id);
    this.#unmark(id, room);
    for (const viewer of room.viewers) {
      viewer.send(JSON.stringify({ type: 'session_ended', sessionId: id, reason }));
      viewer.close(CLOSE.ended, reason);
    }
  }

  /** Closes all sockets of a replica that leaves: 1012, come back. */
  leave() {
    for (const { viewers } of this.#rooms.values()) {
      for (const viewer of viewers) viewer.close(CLOSE.leaving, 'replica restarting');
    }
  }

  #room(id) {
    if (!this.#rooms.has(id)) this.#rooms.set(id, { viewers: new Set(), opening: 0, marked: false, turn: 0 });
    return this.#rooms.get(id);
  }

  #joined(id, room, viewer) {
    room.viewers.add(viewer);
    viewer.heard = true;
    viewer.on('pong', () => (viewer.heard = true));
    viewer.on('error', (error) => console.error(`a viewer of ${id}: ${error.message}`)); // its close follows
    viewer.on('close', () => {
      room.viewers.delete(viewer);
      if (bug('late-close')) this.#unmark(id, room);
      this.#cleared(id, room);
    });
  }

  #cleared(id, room) {
    if (room.viewers.size || room.opening || this.#rooms.get(id) !== room) return;
    this.#rooms.delete(id);
    this.#unmark(id, room);
  }

  /** Removes ws:{id}. Only an owner writes it, so it is ours; commands arrive in order, so no later SET is undone. */
  #unmark(id, room) {
    if (!room.marked) return;
    room.marked = false;
    this.redis.del(keys.websocket(id)).catch((error) => console.error(`ws:${id} stays until its TTL: ${error.message}`));
  }

  /** A viewer that vanished without a close is noticed by its silence. */
  #ping() {
    for (const { viewers } of this.#rooms.values()) {
      for (const viewer of viewers) {
        if (!viewer.heard) viewer.terminate();
        viewer.heard = false;
        viewer.ping();
      }
    }
  }
}
