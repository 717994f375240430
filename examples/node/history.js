// The history in PostgreSQL. An event is recorded first and shown to viewers then, so nobody saw what the history lacks.

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { bug } from './bugs.js';

const QUEUE_MAX = 10_000;
const BATCH_MAX = 1_000;
const RETRY_MS = 100;
const REPLAY_MAX = 100_000;
const SETUP_LOCK = 7_261_001; // any number that all replicas share

const SETUP = `
  CREATE TABLE IF NOT EXISTS gadget_events (
    session_id uuid NOT NULL,
    n bigint NOT NULL,
    time timestamptz NOT NULL,
    event_type text NOT NULL,
    namespace text NOT NULL,
    data json NOT NULL,
    PRIMARY KEY (session_id, n)
  );
  CREATE INDEX IF NOT EXISTS gadget_events_time ON gadget_events (time);`;

// A batch whose outcome is not known is written again; what is there already stays as it is.
const INSERT = `
  INSERT INTO gadget_events (session_id, n, time, event_type, namespace, data)
  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::json[])
  ON CONFLICT (session_id, n) DO NOTHING`;

const SELECT = 'SELECT session_id, time, event_type, data FROM gadget_events';

export class History {
  #queue = []; // what is not recorded yet
  #batch = 0; // how many at its head are being written
  #writing = false;
  #pool;

  /** `recorded(event)` is called for each event once it is in the history, in order. */
  constructor(url, recorded, isWatched) {
    this.recorded = recorded;
    this.isWatched = isWatched;
    this.#pool = new pg.Pool({ connectionString: url, max: 4, connectionTimeoutMillis: 3_000, query_timeout: 10_000 });
    this.#pool.on('error', (error) => console.error(`a database connection broke: ${error.message}`));
  }

  /** Waits for the database, as long as it takes, and makes the table. */
  async open() {
    for (let told = false; ; told = true) {
      try {
        // All in one query are one transaction; the lock keeps replicas that start at once out of each other's way.
        await this.#pool.query(`SELECT pg_advisory_xact_lock(${SETUP_LOCK}); ${SETUP}`);
        return;
      } catch (error) {
        if (!told) console.error(`PostgreSQL is away: ${error.message}`);
        await sleep(RETRY_MS);
      }
    }
  }

  async close() {
    await this.#pool.end();
  }

  room() {
    return this.#queue.length < QUEUE_MAX;
  }

  take(event) {
    this.#queue.push(event);
    if (!this.#writing) this.#write();
  }

  /** Waits until nothing of a session is on its way into the history; what is not by then never gets there. */
  async settle(id, withinMs) {
    const until = performance.now() + withinMs;
    const waits = () => this.#queue.some((event) => event.sessionId === id);
    while (waits() && performance.now() < until) await sleep(5);
    const rest = this.#queue.slice(this.#batch).filter((event) => event.sessionId !== id);
    this.#queue.splice(this.#batch, this.#queue.length, ...rest);
  }

  /** Waits until the queue is empty, but no longer than `withinMs`. */
  async drain(withinMs) {
    const until = performance.now() + withinMs;
    while (this.#queue.length && performance.now() < until) await sleep(5);
  }

  /** All events of a session, oldest first. */
  async replay(id) {
    const { rows } = await this.#pool.query(`${SELECT} WHERE session_id = $1 ORDER BY n LIMIT ${REPLAY_MAX}`, [id]);
    return rows.map(message);
  }

  /** The newest events that fit all conditions that are given, newest first. Times are inclusive. */
  async search({ sessionId, eventType, namespace, startTime, endTime, text, limit }) {
    const conditions = [
      ['session_id = ?', sessionId],
      ['event_type = ?', eventType],
      ['namespace = ?', namespace],
      ['time >= ?', startTime],
      ['time <= ?', endTime],
      ['strpos(lower(data::text), lower(?)) > 0', text],
    ].filter(([, value]) => value !== null);
    const where = conditions.map(([condition], index) => condition.replace('?', `$${index + 1}`)).join(' AND ') || 'true';
    const order = `ORDER BY time DESC, session_id, n DESC LIMIT ${limit}`;
    const { rows } = await this.#pool.query(`${SELECT} WHERE ${where} ${order}`, conditions.map(([, value]) => value));
    return rows.map(message);
  }

  async #write() {
    this.#writing = true;
    while (this.#queue.length) {
      await sleep(bug('silent-drop') ? 500 : 1); // all that this tick makes goes in one batch
      const batch = this.#queue.slice(0, BATCH_MAX);
      this.#batch = batch.length;
      await this.#insert(this.#kept(batch));
      this.#queue.splice(0, batch.length);
      this.#batch = 0;
      batch.forEach(this.recorded);
    }
    this.#writing = false;
  }

  #kept(batch) {
    if (bug('record-only-watched')) return batch.filter((event) => this.isWatched(event.sessionId));
    if (!bug('silent-drop')) return batch;
    const seen = new Map();
    return batch.filter(({ sessionId: id }) => seen.set(id, (seen.get(id) ?? 0) + 1).get(id) <= 3);
  }

  async #insert(batch) {
    const column = (value) => batch.map(value);
    const columns = [
      column((event) => event.sessionId),
      column((event) => event.data.n),
      column((event) => event.timestamp),
      column((event) => event.eventType),
      column((event) => event.data.k8s.namespace),
      column((event) => JSON.stringify(event.data)),
    ];
    for (let told = false; batch.length; told = true) {
      try {
        await this.#pool.query(INSERT, columns);
        return;
      } catch (error) {
        if (!told) console.error(`events cannot be recorded and wait: ${error.message}`);
        await sleep(RETRY_MS);
      }
    }
  }
}

function message(row) {
  return { sessionId: row.session_id, timestamp: row.time.toISOString(), data: row.data, eventType: row.event_type };
}
