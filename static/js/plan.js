// @ts-check
/**
 * What is to be sent, seen from what is wanted.
 *
 * Owns the step from state to frames: joins, leaves, history that is missing, drafts whose turn it is. Promises that
 * nothing is asked twice while its answer is awaited, and that whatever a broken link swallowed is asked again, since it
 * looks at the state alone. Never changes the state and never reads a clock.
 */

import { VERSION } from './frames.js';
import * as outbox from './outbox.js';
import { shown } from './state.js';
import * as timeline from './timeline.js';

/** @import { Fields } from './frames.js' */
/** @import { Room } from './room.js' */
/** @import { Action, State } from './state.js' */

/** How many messages a page of the past brings. */
const PAGE = 50;

/**
 * A frame, and the action that tells the state that it was sent.
 * @typedef {{ frame: Fields & { type: string }, action: Action }} Request
 */

/**
 * The first frame of a connection: who one is, and the room on the page to resume.
 * @param {State} state
 */
export function hello(state) {
  const room = shown(state);
  const cursor = room?.refused ? undefined : room?.timeline.position?.text;
  const rooms = room && cursor ? { [room.name]: cursor } : {};
  const frame = { type: 'hello', id: 'hello', version: VERSION, name: state.me.name, guest_token: state.me.token ?? undefined, rooms };
  return { frame, rooms: Object.keys(rooms) };
}

/**
 * The next frame to send, or null. Whoever sends it applies its action and asks again.
 * @param {State} state
 * @param {number} now
 * @returns {Request | null}
 */
export function next(state, now) {
  if (state.link.phase !== 'live') return null;
  // The room on the page goes first: the others can wait.
  const first = shown(state);
  const rest = [...state.rooms.values()].filter((room) => room !== first);
  for (const room of first ? [first, ...rest] : rest) {
    const request = standing(state, room, now) ?? reading(state, room, now, room === first) ?? sending(state, room, now);
    if (request) return request;
  }
  return null;
}

/**
 * When time alone makes something due: a try put off, or a typist gone quiet.
 * @param {State} state
 * @param {number} now
 * @returns {number | null}
 */
export function dueAt(state, now) {
  const times = [...state.rooms.values()].flatMap((room) => [room.notBefore, outbox.dueAt(room.outbox) ?? 0, ...[...room.typists.values()].map(({ until }) => until)]);
  const coming = times.filter((time) => time > now);
  return coming.length > 0 ? Math.min(...coming) : null;
}

/** @param {State} state @param {Room} room @param {number} now @returns {Request | null} */
function standing(state, room, now) {
  const { name, wish } = room;
  if (room.joining || room.refused || room.notBefore > now || wish === room.standing) return null;
  if (wish === 'none') return { frame: { type: 'leave', room: name }, action: { type: 'left', room: name } };
  const { position, loaded } = room.timeline;
  const id = `r${state.nextId}`;
  const cursor = room.admitted ? undefined : position?.text;
  const history = wish === 'present' && !loaded ? PAGE : 0;
  const frame = { type: 'join', id, room: name, cursor, history, monitor: wish === 'watch' };
  return { frame, action: { type: 'sent', id, asked: { kind: 'join', room: name, wish } } };
}

/** @param {State} state @param {Room} room @param {number} now @param {boolean} isShown @returns {Request | null} */
function reading(state, room, now, isShown) {
  if (!room.admitted || room.joining || room.asked.size > 0 || room.notBefore > now) return null;
  const after = timeline.wanted(room.timeline);
  if (after !== null) return history(state, room, 'gap', { after, limit: state.limits.page });
  const before = timeline.oldest(room.timeline);
  if (isShown && !room.timeline.loaded) return history(state, room, 'tail', { before: (room.timeline.position?.seq ?? 0) + 1, limit: PAGE });
  if (isShown && room.wantsOlder && room.timeline.more) return history(state, room, 'older', { before, limit: PAGE });
  return null;
}

/** @param {State} state @param {Room} room @param {'gap' | 'tail' | 'older'} kind @param {Fields} fields @returns {Request} */
function history(state, room, kind, fields) {
  const id = `r${state.nextId}`;
  return { frame: { type: 'history', id, room: room.name, ...fields }, action: { type: 'sent', id, asked: { kind, room: room.name } } };
}

/** @param {State} state @param {Room} room @param {number} now @returns {Request | null} */
function sending(state, room, now) {
  const draft = room.admitted && state.isRestored ? outbox.next(room.outbox, now) : null;
  if (!draft) return null;
  const { key, content } = draft;
  return { frame: { type: 'message', id: key, room: room.name, content, client_message_id: key }, action: { type: 'sent-draft', room: room.name, key } };
}
