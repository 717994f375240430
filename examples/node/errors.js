// What goes wrong in a way that a client is told about.

/** An error with the HTTP status that it is answered with. `code` is for programs, `message` for people. */
export class HttpError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const invalid = (message) => new HttpError(400, 'invalid', message);
export const notFound = (message) => new HttpError(404, 'not_found', message);
export const unavailable = (message) => new HttpError(503, 'unavailable', message);
