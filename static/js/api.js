// @ts-check
/**
 * The few things asked over HTTP: which rooms there are, and a new one.
 *
 * Owns the calls to `/api`. Promises an answer or a `Problem` with a sentence for a person, within a bounded time. Never
 * keeps what it was told.
 */

/** @import { Listed } from './state.js' */

const PATIENCE_MS = 10_000;

/** A refusal or a failure, in a sentence for a person; `field` is the one at fault, where one is. */
export class Problem extends Error {
  /** @param {string} message @param {string | null} field @param {string | null} code */
  constructor(message, field = null, code = null) {
    super(message);
    this.field = field;
    this.code = code;
  }
}

/**
 * A page of rooms, by name.
 * @param {string} pageToken empty for the first page
 * @returns {Promise<{ entries: Listed[], next: string }>}
 */
export async function listRooms(pageToken) {
  const query = pageToken === '' ? '' : `?page_token=${encodeURIComponent(pageToken)}`;
  const body = await call(`/api/rooms${query}`, {});
  return { entries: (Array.isArray(body.rooms) ? body.rooms : []).map(listed), next: typeof body.next_page_token === 'string' ? body.next_page_token : '' };
}

/**
 * One room, by its name or id.
 * @param {string} room
 * @returns {Promise<Listed>}
 */
export async function getRoom(room) {
  return listed(await call(`/api/rooms/${encodeURIComponent(room)}`, {}));
}

/**
 * Makes a room. The key makes a repeat harmless.
 * @param {{ name: string, title: string, topic: string }} room
 * @param {string} key
 * @param {string | null} token whose it is: the guest token, where there is one
 * @returns {Promise<Listed>}
 */
export async function createRoom(room, key, token) {
  const headers = { 'content-type': 'application/json', 'idempotency-key': key, ...(token === null ? {} : { 'x-parlour-guest-token': token }) };
  return listed(await call('/api/rooms', { method: 'POST', headers, body: JSON.stringify(room) }));
}

/** @param {string} path @param {RequestInit} options @returns {Promise<any>} */
async function call(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    throw new Problem('The server cannot be reached.');
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const said = [body.detail, body.title].find((text) => typeof text === 'string' && text !== '');
  throw new Problem(said ?? `The server answered ${response.status}.`, typeof body.field === 'string' ? body.field : null, typeof body.code === 'string' ? body.code : null);
}

/** @param {any} value @returns {Listed} */
function listed(value) {
  const text = (/** @type {unknown} */ field) => (typeof field === 'string' ? field : '');
  const count = (/** @type {unknown} */ field) => (Number.isSafeInteger(field) ? Number(field) : 0);
  return {
    id: text(value.id), name: text(value.name), title: text(value.title), topic: text(value.topic),
    online: count(value.online), message_count: count(value.message_count), last_message_at: text(value.last_message_at) || null,
  };
}
