// The HTTP calls and the WebSocket handshake: what a request says, and what it is answered with.

import { bug } from './bugs.js';
import { HttpError, invalid, notFound, unavailable } from './errors.js';
import { CATALOGUE, NAMESPACES } from './gadgets.js';
import { keys } from './redis.js';

const BODY_BYTES_MAX = 1 << 16;
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 10_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/; // RFC 1123, as Kubernetes names
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;
const WRONG_INSTANCE = 'Session is on a different backend instance';

export class Api {
  #created = 0;

  constructor({ sessions, gadgets, streams, history, redis }) {
    Object.assign(this, { sessions, gadgets, streams, history, redis });
    this.routes = [
      ['GET', /^\/health$/, async () => [200, { status: 'ok' }]],
      ['GET', /^\/api\/gadgets$/, async () => [200, CATALOGUE]],
      ['GET', /^\/api\/namespaces$/, async () => [200, NAMESPACES]],
      ['GET', /^\/api\/sessions$/, async () => [200, await sessions.list()]],
      ['POST', /^\/api\/sessions$/, (call) => this.#create(call)],
      ['DELETE', /^\/api\/sessions\/([^/]+)$/, (call) => this.#delete(call)],
      ['GET', /^\/api\/sessions\/([^/]+)\/events$/, (call) => this.#replay(call)],
      ['GET', /^\/api\/events$/, (call) => this.#search(call)],
    ];
  }

  /** Answers one request. */
  async answer(request, response) {
    let status;
    let body;
    try {
      [status, body] = await this.#route(request);
    } catch (error) {
      ({ status, body } = refusal(error));
    }
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = { 'Content-Length': Buffer.byteLength(text) };
    if (text) headers['Content-Type'] = 'application/json';
    response.writeHead(status, headers).end(text);
  }

  /** Answers one handshake: opens the stream of a session that is owned here, refuses any other. */
  async upgrade(request, socket, head) {
    socket.on('error', () => socket.destroy()); // a client that leaves during the handshake
    try {
      const [, id] = /^\/ws\/([^/]+)$/.exec(url(request).pathname) ?? [];
      if (!UUID.test(id)) throw notFound('no such stream');
      if (!this.gadgets.isLive(id)) await this.#notHere(id);
      await this.streams.open(id, request, socket, head);
    } catch (error) {
      const { status, body } = refusal(error);
      const text = JSON.stringify(body);
      socket.end(
        `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: application/json\r\n` +
          `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
      );
    }
  }

  async #notHere(id) {
    const session = await this.sessions.find(id);
    if (!session) throw notFound(`no session ${id}`);
    if (await this.redis.exists(keys.heartbeat(session.owner))) throw new HttpError(502, 'wrong_instance', WRONG_INSTANCE);
    throw new HttpError(410, 'owner_gone', 'the replica that ran the gadget is gone, and the gadget with it');
  }

  async #route(request) {
    const { pathname, searchParams } = url(request);
    const fits = this.routes.filter(([, path]) => path.test(pathname));
    if (!fits.length) throw notFound(`no such path: ${pathname}`);
    const route = fits.find(([method]) => method === request.method);
    if (!route) throw new HttpError(405, 'method', `${request.method} is not offered at ${pathname}`);
    return route[2]({ request, params: searchParams, id: route[1].exec(pathname)[1] });
  }

  async #create({ request }) {
    const body = await json(request);
    const { type, namespace = 'default', podName = '' } = body ?? {};
    if (!CATALOGUE.some((gadget) => gadget.type === type)) throw invalid(`unknown gadget type: ${type}`);
    if (!named(namespace)) throw invalid('namespace is no Kubernetes name');
    if (podName !== '' && !named(podName)) throw invalid('podName is no Kubernetes name');
    const session = await this.sessions.create({ type, namespace, podName });
    this.#created += 1;
    if (bug('create-502') && this.#created % 10 === 0) throw new HttpError(502, 'bad_gateway', 'bad gateway');
    return [201, session];
  }

  async #delete({ id }) {
    if (!UUID.test(id)) throw notFound(`no session ${id}`);
    await this.sessions.delete(id);
    return [204];
  }

  async #replay({ id }) {
    if (!UUID.test(id)) throw notFound(`no session ${id}`);
    const events = await this.history.replay(id).catch(recordless);
    if (!events.length && !(await this.sessions.find(id))) throw notFound(`no session ${id}`);
    return [200, events];
  }

  async #search({ params }) {
    const given = (name) => params.get(name) || null;
    const sessionId = given('session_id');
    if (sessionId !== null && !UUID.test(sessionId)) return [200, []];
    const conditions = {
      sessionId,
      eventType: given('event_type'),
      namespace: given('namespace'),
      startTime: moment('start_time', given('start_time')),
      endTime: moment('end_time', given('end_time')),
      text: given('q'),
      limit: count('limit', given('limit')),
    };
    if (Object.values(conditions).some((value) => String(value).includes('\0'))) throw invalid('a text has a NUL in it');
    return [200, await this.history.search(conditions).catch(recordless)];
  }
}

function url(request) {
  try {
    return new URL(request.url, 'http://backend');
  } catch {
    throw invalid('the request has no valid path');
  }
}

async function json(request) {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) {
    text += piece;
    if (text.length > BODY_BYTES_MAX) throw new HttpError(413, 'too_large', 'the body is too large');
  }
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('the body is no JSON');
  }
}

function named(value) {
  return typeof value === 'string' && NAME.test(value);
}

function moment(name, text) {
  if (text === null || (RFC3339.test(text) && !Number.isNaN(Date.parse(text)))) return text;
  throw invalid(`${name} is no RFC 3339 time`);
}

function count(name, text) {
  if (text !== null && !/^[1-9]\d{0,8}$/.test(text)) throw invalid(`${name} is no positive number`);
  return Math.min(Number(text ?? LIMIT_DEFAULT), LIMIT_MAX);
}

function recordless(error) {
  console.error(`history: ${error.message}`);
  throw unavailable('the history is away');
}

/** What a client is told of an error. What is not foreseen is Redis or the database being away. */
function refusal(error) {
  if (!(error instanceof HttpError)) console.error(error);
  const { status, code, message } = error instanceof HttpError ? error : unavailable('a part of the backend is away');
  return { status, body: { error: { code, message } } };
}
