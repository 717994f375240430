// What can be traced, and the gadgets that run here. A gadget makes RATE events a second of the shape that Inspektor Gadget writes.

import { randomInt } from 'node:crypto';

const PERIOD_MS = 100;
const AWAY_MS = 1_000; // a process that stood still this long may have been overruled meanwhile

const trace = (type, eventType, description) => ({ type, eventType, category: 'trace', description });

export const CATALOGUE = [
  trace('trace_tcp', 'tcp', 'TCP connects, accepts and closes'),
  trace('trace_dns', 'dns', 'DNS queries and responses'),
  trace('trace_exec', 'exec', 'new processes'),
  trace('trace_open', 'open', 'opened files'),
  { type: 'snapshot_process', eventType: 'process', category: 'snapshot', description: 'running processes' },
].map((gadget) => ({ ...gadget, name: gadget.description, parameters: ['namespace', 'podName'] }));

export const NAMESPACES = ['default', 'demo', 'kube-system'];

const EVENT_TYPES = new Map(CATALOGUE.map(({ type, eventType }) => [type, eventType]));

/**
 * The gadgets of this replica. `room()` says whether more events can be taken: while not, gadgets wait rather than drop.
 * `returned()` is called, and waited for, when the process stood still for long.
 */
export class Gadgets {
  #running = new Map(); // session id -> { session, n, live }
  #last = performance.now();
  #timer;

  constructor({ room, take, returned }) {
    this.room = room;
    this.take = take;
    this.returned = returned;
  }

  begin() {
    this.#timer = setInterval(() => this.#tick(), PERIOD_MS);
  }

  halt() {
    clearInterval(this.#timer);
  }

  /** Starts a gadget; its events flow once `goLive` was called. */
  start(session) {
    this.#running.set(session.id, { session, n: 0, live: false });
    console.log(`Started gadget ${session.type} for session ${session.id}`);
  }

  goLive(id) {
    const gadget = this.#running.get(id);
    if (gadget) gadget.live = true;
  }

  stop(id) {
    if (this.#running.delete(id)) console.log(`Stopped gadget of session ${id}`);
  }

  /** The sessions whose gadgets run and whose records are in Redis. */
  live() {
    return [...this.#running.values()].filter((gadget) => gadget.live).map((gadget) => gadget.session.id);
  }

  isLive(id) {
    return this.#running.get(id)?.live ?? false;
  }

  async #tick() {
    const away = performance.now() - this.#last > AWAY_MS;
    this.#last = performance.now();
    if (away) {
      this.halt();
      await this.returned();
      this.#last = performance.now();
      this.begin();
    }
    for (const gadget of this.#running.values()) {
      if (gadget.live && this.room()) this.take(observe(gadget));
    }
  }
}

/** The next event of a gadget, as the message that viewers get. */
function observe(gadget) {
  const { session } = gadget;
  const now = new Date();
  gadget.n += 1;
  return {
    sessionId: session.id,
    timestamp: now.toISOString(),
    eventType: EVENT_TYPES.get(session.type),
    data: { n: gadget.n, ...details(session), ...common(session, now) },
  };
}

function common(session, now) {
  const { namespace, podName } = session;
  const name = podName || 'apples-6d5f8-x2k9p';
  return {
    k8s: { node: 'node-1', namespace, podName: name, podLabels: 'app=apples', containerName: 'apples' },
    runtime: { runtimeName: 'containerd', containerName: 'apples', containerPid: 4711 },
    proc: { comm: 'curl', pid: randomInt(1000, 60000), tid: 4712, creds: { uid: 0, gid: 0 }, parent: { comm: 'sh', pid: 1 } },
    timestamp: now.toISOString().replace('Z', '000000Z'),
    timestamp_raw: now.getTime() * 1_000_000,
  };
}

function details({ type, namespace }) {
  switch (type) {
    case 'trace_tcp': {
      const end = (addr, port) => ({ addr, port, proto: 'TCP', version: 4, k8s: { kind: 'pod', namespace } });
      return { type: 'connect', src: end('10.42.0.15', randomInt(32768, 60999)), dst: end('10.42.0.16', 8080), error: '' };
    }
    case 'trace_dns':
      return { id: randomInt(65536).toString(16), qr: 'Q', qtype: 'A', rcode: '', name: 'fake.test.com.', addresses: '' };
    case 'trace_exec':
      return { args: '/bin/sh -c ls', error: '', loginuid: 0, upper_layer: false };
    case 'trace_open':
      return { fd: 3, error: '', flags: 'O_RDONLY', mode: '----------', fname: '/etc/hosts' };
    default:
      return {};
  }
}
