/**
 * A room's log and the frames a server makes of it, in miniature.
 *
 * Owns the judge of the tests: what a reader must have been given is read from here. Promises frames as DESIGN's full
 * dialect has them, as text.
 */

export const ADA = { id: 'guest_ada', name: 'Ada', guest: true };
export const BOB = { id: 'guest_bob', name: 'Bob', guest: true };
const INFO = { id: `R${'A'.repeat(26)}`, title: 'General', topic: '', visibility: 'public', archived: false };
const LIMITS = { frame_bytes: 65_536, content_chars: 4_000, rooms: 100, page: 3 };

export class Log {
  events = [];
  check = 'c0ffee00';

  constructor(room = 'general') {
    this.room = room;
  }

  /** Appends a message, once a key and author; an unknown kind where there is no content. */
  append(user, content, key) {
    const known = this.events.find(({ data }) => key !== undefined && data?.user.id === user.id && data.client_message_id === key);
    if (known) return known;
    const seq = this.events.length + 1;
    const base = { room: this.room, seq, cursor: this.cursor(seq) };
    const created_at = new Date(Date.UTC(2026, 10, 24, 12, 0, seq)).toISOString();
    const data = { id: seq, user, content, ...(key === undefined ? {} : { client_message_id: key }), created_at };
    const event = content === undefined ? { type: 'poll_opened', ...base, data: { options: [] } } : { type: 'message', ...base, data };
    this.events.push(event);
    return event;
  }

  cursor(seq) {
    return `${this.check}:${seq}`;
  }

  head() {
    return this.cursor(this.events.length);
  }

  messagesBelow(seq, limit) {
    const all = this.events.filter((event) => event.type === 'message' && event.seq < seq);
    return { messages: all.slice(-limit).map(({ data }) => data), more: all.length > limit };
  }

  eventsAfter(seq, limit) {
    const all = this.events.slice(seq);
    return { events: all.slice(0, limit), more: all.length > limit };
  }

  joined({ id, cursor, history = 0, users = [] } = {}) {
    const { messages, more } = cursor === undefined ? this.messagesBelow(Infinity, history) : { messages: [], more: true };
    return { type: 'joined', id, room: this.room, info: INFO, cursor: cursor ?? this.head(), messages: history === 0 ? [] : messages, more, users, count: users.length };
  }

  /** The answer to a `history` request. */
  history(request) {
    const page = request.after === undefined ? { events: [], ...this.messagesBelow(request.before, request.limit) } : { messages: [], ...this.eventsAfter(request.after, request.limit) };
    return { type: 'history', id: request.id, room: this.room, ...page };
  }
}

export function welcome(user, token = 'token') {
  return { type: 'welcome', id: 'hello', session: 'S', user, guest_token: token, heartbeat_ms: 25_000, limits: LIMITS };
}
