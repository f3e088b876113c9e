// @ts-check
/**
 * The words of the socket: one text frame is one JSON object with a `type`.
 *
 * Owns how a frame is written and read, and the shapes the rest of the client relies on. Promises that nothing a server
 * sends makes `decode` throw, and that an event of a kind this client does not know is still an event: it moves the
 * cursor. Never keeps state and never decides what follows from a frame.
 */

/** The protocol's version, said in `hello`. */
export const VERSION = 1;

/** Refusals after which the same request, with the same key, may be made again. */
const RETRYABLE = new Set(['UNAVAILABLE', 'RATE_LIMITED', 'GOING_AWAY']);

/**
 * @typedef {{ id: string, name: string, guest: boolean }} User
 * @typedef {{ id: number, user: User, content: string, client_message_id?: string, reply_to?: number, created_at: string }} Message
 * @typedef {{ id: string, title: string, topic: string, archived: boolean }} RoomInfo
 * @typedef {{ user: User, info: RoomInfo, created_at: string }} RoomChange
 * @typedef {{ text: string, seq: number }} Cursor
 *
 * @typedef {{ type: 'message', room: string, seq: number, cursor: Cursor, data: Message }} MessageEvent
 * @typedef {{ type: 'room_changed', room: string, seq: number, cursor: Cursor, data: RoomChange }} RoomChangedEvent
 * @typedef {{ type: 'event', room: string, seq: number, cursor: Cursor }} UnknownEvent
 * @typedef {MessageEvent | RoomChangedEvent | UnknownEvent} LogEvent
 *
 * @typedef {{ frame_bytes: number, content_chars: number, rooms: number, page: number }} Limits
 * @typedef {{ is: 'welcome', id: string, session: string, user: User, guestToken: string | null, heartbeatMs: number, limits: Limits }} Welcome
 * @typedef {{ is: 'joined', id: string, room: string, info: RoomInfo, cursor: Cursor, messages: Message[], more: boolean, users: User[], count: number }} Joined
 * @typedef {{ is: 'event', id: string, event: LogEvent }} Event
 * @typedef {{ is: 'ack', id: string, room: string | null, seq: number | null }} Ack
 * @typedef {{ is: 'error', id: string, code: string, message: string, field: string | null, retryAfterMs: number | null }} Refusal
 * @typedef {{ is: 'history', id: string, room: string, messages: Message[], events: LogEvent[], more: boolean }} History
 * @typedef {{ is: 'typing', id: string, room: string, user: User, typing: boolean }} Typing
 * @typedef {{ is: 'presence', id: string, room: string, snapshot: boolean, users: User[], joined: User[], left: User[], changed: User[], count: number }} Presence
 * @typedef {{ is: 'heartbeat', id: string, heads: Map<string, Cursor> }} Heartbeat
 * @typedef {{ is: 'pong', id: string }} Pong
 * @typedef {{ is: 'resync', id: string, room: string, cursor: Cursor, reason: string }} Resync
 * @typedef {{ is: 'gone', id: string, room: string, reason: string }} Gone
 * @typedef {{ is: 'going_away', id: string, retryAfterMs: number, reason: string }} GoingAway
 * @typedef {{ is: 'unknown', id: string }} Unknown
 * @typedef {Welcome | Joined | Event | Ack | Refusal | History | Typing | Presence | Heartbeat | Pong | Resync | Gone | GoingAway | Unknown} Frame
 *
 * @typedef {{ [field: string]: unknown }} Fields
 */

/** Thrown inside this file alone: a frame that does not have the shape its type demands. */
class Malformed extends Error {}

/**
 * Writes a frame; fields that are undefined are left out.
 * @param {Fields & { type: string }} frame
 */
export function encode(frame) {
  return JSON.stringify(frame);
}

/**
 * Reads a frame. What cannot be understood comes back as `unknown`, to be counted and otherwise ignored.
 * @param {unknown} text
 * @returns {Frame}
 */
export function decode(text) {
  let id = '';
  try {
    const fields = object(typeof text === 'string' ? JSON.parse(text) : undefined);
    id = typeof fields.id === 'string' ? fields.id : '';
    if (isEvent(fields)) return { is: 'event', id, event: event(fields) };
    const read = typeof fields.type === 'string' ? READERS.get(fields.type) : undefined;
    return read ? read(fields, id) : { is: 'unknown', id };
  } catch (error) {
    if (error instanceof Malformed || error instanceof SyntaxError) return { is: 'unknown', id };
    throw error;
  }
}

/**
 * Reads a cursor: opaque, but for the seq at its end.
 * @param {unknown} text
 * @returns {Cursor | null}
 */
export function parseCursor(text) {
  const match = typeof text === 'string' ? /^[^:]+:(\d{1,16})$/.exec(text) : null;
  return match && typeof text === 'string' ? { text, seq: Number(match[1]) } : null;
}

/**
 * Whether waiting and asking again may help.
 * @param {string} code
 */
export function isRetryable(code) {
  return RETRYABLE.has(code);
}

/** @type {[string, (fields: Fields, id: string) => Frame][]} */
const READING = [
  ['welcome', (f, id) => ({ is: 'welcome', id, session: string(f.session), user: user(f.user), guestToken: optionalString(f.guest_token), heartbeatMs: count(f.heartbeat_ms), limits: limits(f.limits) })],
  ['joined', (f, id) => ({ is: 'joined', id, room: string(f.room), info: info(f.info), cursor: cursor(f.cursor), messages: list(f.messages, message), more: f.more === true, users: list(f.users, user), count: count(f.count) })],
  ['ack', (f, id) => ({ is: 'ack', id, room: optionalString(f.room), seq: optionalCount(f.seq) })],
  ['error', (f, id) => ({ is: 'error', id, code: string(f.code), message: string(f.message), field: optionalString(f.field), retryAfterMs: optionalCount(f.retry_after_ms) })],
  ['history', (f, id) => ({ is: 'history', id, room: string(f.room), messages: list(f.messages, message), events: list(f.events, (e) => event(object(e))), more: f.more === true })],
  ['typing', (f, id) => ({ is: 'typing', id, room: string(f.room), user: user(f.user), typing: f.typing === true })],
  ['presence', (f, id) => ({ is: 'presence', id, room: string(f.room), snapshot: f.snapshot === true, users: list(f.users, user), joined: list(f.joined, user), left: list(f.left, user), changed: list(f.changed, user), count: count(f.count) })],
  ['heartbeat', (f, id) => ({ is: 'heartbeat', id, heads: heads(f.heads) })],
  ['pong', (_, id) => ({ is: 'pong', id })],
  ['resync', (f, id) => ({ is: 'resync', id, room: string(f.room), cursor: cursor(f.cursor), reason: string(f.reason) })],
  ['gone', (f, id) => ({ is: 'gone', id, room: string(f.room), reason: string(f.reason) })],
  ['going_away', (f, id) => ({ is: 'going_away', id, retryAfterMs: count(f.retry_after_ms), reason: string(f.reason) })],
];
const READERS = new Map(READING);

/**
 * An event is known by its shape, not by its type, so that kinds to come still move the cursor.
 * @param {Fields} fields
 */
function isEvent(fields) {
  return typeof fields.room === 'string' && Number.isSafeInteger(fields.seq) && typeof fields.cursor === 'string';
}

/** @param {Fields} fields @returns {LogEvent} */
function event(fields) {
  const base = { room: string(fields.room), seq: count(fields.seq), cursor: cursor(fields.cursor) };
  if (base.seq < 1 || base.cursor.seq !== base.seq) throw new Malformed('cursor and seq differ');
  if (fields.type === 'message') return { type: 'message', ...base, data: message(fields.data) };
  if (fields.type === 'room_changed') return { type: 'room_changed', ...base, data: change(fields.data) };
  return { type: 'event', ...base };
}

/** @param {unknown} value @returns {Message} */
function message(value) {
  const f = object(value);
  const read = /** @type {Message} */ ({ id: count(f.id), user: user(f.user), content: string(f.content), created_at: string(f.created_at) });
  if (typeof f.client_message_id === 'string') read.client_message_id = f.client_message_id;
  if (Number.isSafeInteger(f.reply_to)) read.reply_to = Number(f.reply_to);
  return read;
}

/** @param {unknown} value @returns {RoomChange} */
function change(value) {
  const f = object(value);
  return { user: user(f.user), info: info(f.info), created_at: string(f.created_at) };
}

/** @param {unknown} value @returns {User} */
function user(value) {
  const f = object(value);
  return { id: string(f.id), name: string(f.name), guest: f.guest === true };
}

/** @param {unknown} value @returns {RoomInfo} */
function info(value) {
  const f = object(value);
  return { id: string(f.id), title: string(f.title), topic: string(f.topic), archived: f.archived === true };
}

/** @param {unknown} value @returns {Limits} */
function limits(value) {
  const f = object(value);
  return { frame_bytes: count(f.frame_bytes), content_chars: count(f.content_chars), rooms: count(f.rooms), page: count(f.page) };
}

/** @param {unknown} value */
function heads(value) {
  return new Map(Object.entries(object(value)).map(([room, text]) => [room, cursor(text)]));
}

/** @param {unknown} value @returns {Fields} */
function object(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed('not an object');
  return /** @type {Fields} */ (value);
}

/** @param {unknown} value */
function string(value) {
  if (typeof value !== 'string') throw new Malformed('not a string');
  return value;
}

/** @param {unknown} value */
function count(value) {
  if (!Number.isSafeInteger(value) || Number(value) < 0) throw new Malformed('not a count');
  return Number(value);
}

/** @param {unknown} value */
function cursor(value) {
  const parsed = parseCursor(value);
  if (!parsed) throw new Malformed('not a cursor');
  return parsed;
}

/** @param {unknown} value */
function optionalString(value) {
  return value === undefined || value === null ? null : string(value);
}

/** @param {unknown} value */
function optionalCount(value) {
  return value === undefined || value === null ? null : count(value);
}

/**
 * @template T
 * @param {unknown} value
 * @param {(item: unknown) => T} read
 * @returns {T[]}
 */
function list(value, read) {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Malformed('not a list');
  return value.map(read);
}
