// @ts-check
/**
 * Everything the page knows, and how it moves.
 *
 * Owns the shape of the state and the one function that changes it. Promises to be pure: the same state and action give
 * the same state, with time and chance brought along in the action. Never touches the document, the socket or storage.
 */

import { isLater } from './format.js';
import * as outbox from './outbox.js';
import * as presence from './presence.js';
import * as rooms from './room.js';
import * as timeline from './timeline.js';

/** @import { Frame, Limits } from './frames.js' */
/** @import { Kept } from './outbox.js' */
/** @import { Asked, Room } from './room.js' */

/**
 * `idle` until there is a name; `greeting` until `welcome`; `waiting` before another try; `ended` when none will follow.
 * @typedef {'idle' | 'connecting' | 'greeting' | 'live' | 'waiting' | 'ended'} Phase
 *
 * @typedef {object} Link
 * @property {Phase} phase
 * @property {number} retryAt when the next try is due, in milliseconds since 1970
 * @property {string | null} reason why the last connection ended, in a sentence
 * @property {boolean} wasLive whether there has been a connection before
 * @property {boolean} isLeaving whether the server has asked us to come back
 *
 * @typedef {{ name: string, token: string | null, id: string, guest: boolean, problem: string | null, wantsName: boolean }} Me
 *
 * An entry of the list of rooms, as the HTTP API has it.
 * @typedef {{ id: string, name: string, title: string, topic: string, online: number, message_count: number, last_message_at: string | null }} Listed
 * @typedef {{ entries: Map<string, Listed>, isLoading: boolean, isLoaded: boolean, problem: string | null, next: string }} List
 *
 * @typedef {{ page: 'rooms' } | { page: 'room', room: string } | { page: 'lost' }} Route
 *
 * @typedef {object} State
 * @property {Me} me
 * @property {Link} link
 * @property {Limits} limits
 * @property {Route} route
 * @property {boolean} isVisible whether somebody can be looking
 * @property {Map<string, Room>} rooms
 * @property {List} list
 * @property {Map<string, number>} seen what was seen of rooms in earlier visits
 * @property {Map<string, Asked>} asked requests that wait for their answer, by id
 * @property {number} nextId
 * @property {number} unknown how many frames this client did not know
 * @property {boolean} isRestored whether the drafts of earlier pages have come: before, nothing may overtake them
 * @property {boolean} isKept whether what waits to be sent outlives the page
 * @property {boolean} renew whether the connection should be made anew, for the server to judge a contradiction
 *
 * What every action brings along: the time, in milliseconds since 1970, and a number between 0 and 1.
 * @typedef {{ now: number, random: number }} Circumstance
 *
 * @typedef {{ type: 'frame', frame: Frame }
 *   | { type: 'link', phase: Phase, retryAt?: number, reason?: string | null }
 *   | { type: 'greeting', rooms: string[] }
 *   | { type: 'leaving' }
 *   | { type: 'sent', id: string, asked: Asked }
 *   | { type: 'sent-draft', room: string, key: string }
 *   | { type: 'left', room: string }
 *   | { type: 'navigate', route: Route }
 *   | { type: 'visible', isVisible: boolean }
 *   | { type: 'named', name: string }
 *   | { type: 'ask-name', isOpen: boolean, problem?: string | null }
 *   | { type: 'write', room: string, key: string, content: string }
 *   | { type: 'restored', drafts: Kept[] }
 *   | { type: 'unkept' }
 *   | { type: 'retry', room: string, key: string }
 *   | { type: 'edit', room: string, key: string }
 *   | { type: 'discard', room: string, key: string }
 *   | { type: 'older', room: string }
 *   | { type: 'at-end', room: string, atEnd: boolean }
 *   | { type: 'try-again', room: string }
 *   | { type: 'told', room: string }
 *   | { type: 'seen-elsewhere', seen: Map<string, number> }
 *   | { type: 'listing' }
 *   | { type: 'listed', entries: Listed[], next: string, isMore: boolean }
 *   | { type: 'list-failed', problem: string }
 *   | { type: 'tick' }} Action
 */

/** What is assumed before `welcome` says it. @type {Limits} */
const ASSUMED = { frame_bytes: 65_536, content_chars: 4_000, rooms: 100, page: 200 };
/** Rooms of the list that are watched are fewer than a session may be in: visited ones need places too. */
const SPARE_ROOMS = 10;

/**
 * @param {{ name: string, token: string | null, seen: Map<string, number> }} kept what an earlier visit left behind
 * @returns {State}
 */
export function initial({ name, token, seen }) {
  return {
    me: { name, token, id: '', guest: true, problem: null, wantsName: name === '' },
    link: { phase: 'idle', retryAt: 0, reason: null, wasLive: false, isLeaving: false },
    limits: ASSUMED, route: { page: 'rooms' }, isVisible: true, rooms: new Map(),
    list: { entries: new Map(), isLoading: false, isLoaded: false, problem: null, next: '' },
    seen, asked: new Map(), nextId: 1, unknown: 0, isRestored: false, isKept: true, renew: false,
  };
}

/**
 * The room on the page, if one is.
 * @param {State} state
 */
export function shown(state) {
  return state.route.page === 'room' ? state.rooms.get(state.route.room) ?? null : null;
}

/**
 * Whether as much waits to be sent as may wait.
 * @param {State} state
 */
export function isFull(state) {
  return [...state.rooms.values()].reduce((count, room) => count + room.outbox.length, 0) >= outbox.MOST_DRAFTS;
}

/**
 * How often a room was found to lack something, and in how many it is still being read.
 * @param {State} state
 */
export function gaps(state) {
  const timelines = [...state.rooms.values()].map((room) => room.timeline);
  return { found: timelines.reduce((sum, { gaps }) => sum + gaps, 0), open: timelines.filter(timeline.isBehind).length };
}

/**
 * What is to outlive the page of the drafts in all rooms.
 * @param {State} state
 * @returns {Kept[]}
 */
export function keeping(state) {
  return [...state.rooms.values()].flatMap((room) => outbox.keeping(room.name, room.outbox));
}

/**
 * @param {State} state
 * @param {Action & Circumstance} action
 * @returns {State}
 */
export function reduce(state, action) {
  return looked(step(state, action));
}

/** @param {State} state @param {Action & Circumstance} action @returns {State} */
function step(state, action) {
  switch (action.type) {
    case 'frame': return frame(state, action.frame, action);
    case 'link': return link(state, action);
    case 'greeting': return action.rooms.reduce((next, name) => inRoom(next, name, (room) => ({ ...room, joining: true })), state);
    case 'leaving': return { ...state, link: { ...state.link, isLeaving: true } };
    case 'sent': return sent(state, action.id, action.asked);
    case 'sent-draft': return inRoom(state, action.room, (room) => ({ ...room, outbox: outbox.sent(room.outbox, action.key, state.me.id) }));
    case 'left': return inRoom(state, action.room, (room) => ({ ...room, standing: 'none', admitted: false }));
    case 'navigate': return navigate(state, action.route);
    case 'visible': return { ...state, isVisible: action.isVisible };
    case 'named': return { ...state, me: { ...state.me, name: action.name, problem: null, wantsName: false } };
    case 'ask-name': return { ...state, me: { ...state.me, wantsName: action.isOpen, problem: action.problem ?? null } };
    case 'write': return write(state, action);
    case 'restored': return restored(state, action.drafts);
    case 'unkept': return state.isKept ? { ...state, isKept: false } : state;
    case 'retry': return inRoom(state, action.room, (room) => ({ ...room, outbox: outbox.retried(room.outbox, action.key, action.now) }));
    case 'edit': return inRoom(state, action.room, (room) => rooms.recalled(room, action.key));
    case 'discard': return inRoom(state, action.room, (room) => ({ ...room, outbox: outbox.without(room.outbox, action.key) }));
    case 'older': return inRoom(state, action.room, (room) => (room.wantsOlder || !room.timeline.more ? room : { ...room, wantsOlder: true }));
    case 'at-end': return inRoom(state, action.room, (room) => ({ ...room, atEnd: action.atEnd }));
    case 'try-again': return inRoom(state, action.room, (room) => ({ ...room, refused: null, notBefore: 0 }));
    case 'told': return inRoom(state, action.room, (room) => ({ ...room, reloaded: null }));
    case 'seen-elsewhere': return seenElsewhere(state, action.seen);
    case 'listing': return { ...state, list: { ...state.list, isLoading: true, problem: null } };
    case 'listed': return listed(state, action);
    case 'list-failed': return { ...state, list: { ...state.list, isLoading: false, problem: action.problem } };
    case 'tick': return everyRoom(state, (room) => {
      const typists = presence.stillTyping(room.typists, action.now);
      return typists === room.typists ? room : { ...room, typists };
    });
  }
}

/** @param {State} state @param {{ room: string, key: string, content: string, now: number }} said @returns {State} */
function write(state, { room, key, content, now }) {
  if (isFull(state)) return state;
  return inRoom(state, room, (room) => ({ ...room, atEnd: true, outbox: outbox.written(room.outbox, { key, content, author: state.me.id }, now) }));
}

/** @param {State} state @param {Kept[]} drafts @returns {State} */
function restored(state, drafts) {
  const missing = drafts.map(({ room }) => room).filter((name) => !state.rooms.has(name));
  const all = new Map([...state.rooms, ...missing.map((name) => /** @type {const} */ ([name, rooms.room(name, state.seen.get(name) ?? null)]))]);
  const of = (/** @type {Room} */ { name }) => drafts.filter(({ room }) => room === name);
  return everyRoom({ ...state, rooms: all, isRestored: true }, (room) => (of(room).length > 0 ? rooms.restored(room, of(room), state.me.id) : room));
}

/** @param {State} state @param {Frame} frame @param {Circumstance} at @returns {State} */
function frame(state, frame, { now, random }) {
  const me = state.me.id;
  switch (frame.is) {
    case 'welcome': return welcome(state, frame);
    case 'joined': return answered(inRoom(state, frame.room, (room) => rooms.joined(room, frame, state.asked.get(frame.id)?.wish)), frame.id);
    case 'event': return counted(inRoom(state, frame.event.room, (room) => rooms.event(room, frame.event, me)), frame.event);
    case 'ack': return ofDraft(state, frame.id, (room) => rooms.acked(room, frame.id, frame.seq));
    case 'error': return refusal(state, frame, now, random);
    case 'history': {
      const asked = state.asked.get(frame.id);
      return asked ? answered(inRoom(state, asked.room, (room) => rooms.history(room, frame, asked, me, now, random)), frame.id) : state;
    }
    case 'typing': return frame.user.id === me ? state : inRoom(state, frame.room, (room) => ({ ...room, typists: presence.typed(room.typists, frame.user, frame.typing, now) }));
    case 'presence': return inRoom(state, frame.room, (room) => rooms.present(room, frame, me, now));
    case 'heartbeat': return [...frame.heads].reduce((next, [name, head]) => inRoom(next, name, (room) => ({ ...room, timeline: timeline.head(room.timeline, head) })), state);
    case 'resync': return inRoom(state, frame.room, (room) => rooms.resync(room, frame));
    case 'gone': return inRoom(state, frame.room, (room) => rooms.gone(room, frame, now, random));
    case 'unknown': return { ...state, unknown: state.unknown + 1 };
    case 'pong': case 'going_away': return state;
  }
}

/** @param {State} state @param {import('./frames.js').Welcome} frame @returns {State} */
function welcome(state, frame) {
  const { user, guestToken, limits } = frame;
  const me = { ...state.me, id: user.id, guest: user.guest, name: user.name, token: guestToken ?? state.me.token, problem: null };
  const greeted = everyRoom(state, (room) => {
    const drafts = outbox.greeted(room.outbox, user.id);
    return drafts === room.outbox ? room : { ...room, outbox: drafts };
  });
  return { ...greeted, me, limits, link: { ...state.link, phase: 'live', wasLive: true, isLeaving: false, reason: null } };
}

/** @param {State} state @param {import('./frames.js').Refusal} frame @param {number} now @param {number} random */
function refusal(state, frame, now, random) {
  const asked = state.asked.get(frame.id);
  if (asked) return answered(inRoom(state, asked.room, (room) => rooms.refused(room, frame, asked, now, random)), frame.id);
  return ofDraft(state, frame.id, (room) => ({ ...room, outbox: outbox.refused(room.outbox, frame.id, frame, now, random) }));
}

/** @param {State} state @param {{ phase: Phase, retryAt?: number, reason?: string | null }} change @returns {State} */
function link(state, { phase, retryAt, reason }) {
  const next = { ...state, link: { ...state.link, phase, retryAt: retryAt ?? 0, reason: reason === undefined ? state.link.reason : reason } };
  if (phase === 'greeting' || phase === 'live') return next;
  return everyRoom({ ...next, asked: new Map(), renew: false, link: { ...next.link, isLeaving: false } }, rooms.unlinked);
}

/** @param {State} state @param {string} id @param {Asked} asked @returns {State} */
function sent(state, id, asked) {
  const next = { ...state, nextId: state.nextId + 1, asked: new Map(state.asked).set(id, asked) };
  return inRoom(next, asked.room, (room) => {
    if (asked.kind === 'join') return { ...room, joining: true };
    const waits = { ...room, asked: new Set(room.asked).add(id) };
    return asked.kind === 'gap' ? { ...waits, timeline: timeline.asked(room.timeline) } : waits;
  });
}

/** @param {State} state @param {string} id @returns {State} */
function answered(state, id) {
  if (!state.asked.has(id)) return state;
  const asked = new Map(state.asked);
  asked.delete(id);
  return { ...state, asked };
}

/** @param {State} state @param {Route} route @returns {State} */
function navigate(state, route) {
  const name = route.page === 'room' ? route.room : null;
  const left = everyRoom({ ...state, route }, (room) => (room.name !== name && room.wish === 'present' ? { ...room, wish: 'watch', notices: [], atEnd: true } : room));
  if (name === null) return left;
  const known = left.rooms.has(name) ? left : { ...left, rooms: new Map(left.rooms).set(name, rooms.room(name, state.seen.get(name) ?? null)) };
  return inRoom(known, name, (room) => ({ ...room, wish: 'present', refused: null, notBefore: 0, atEnd: true }));
}

/** @param {State} state @param {{ entries: Listed[], next: string, isMore: boolean }} page @returns {State} */
function listed(state, { entries, next, isMore }) {
  const all = new Map(isMore ? state.list.entries : []);
  for (const entry of entries) all.set(entry.name, entry);
  const list = { entries: all, isLoading: false, isLoaded: true, problem: null, next };
  const followed = new Map(state.rooms);
  for (const name of all.keys()) {
    if (followed.size >= state.limits.rooms - SPARE_ROOMS) break;
    if (!followed.has(name)) followed.set(name, { ...rooms.room(name, state.seen.get(name) ?? null), wish: 'watch' });
  }
  return { ...state, list, rooms: followed };
}

/**
 * The list's own counts go on from what it was told; a message it has counted already is not later than its last.
 * @param {State} state
 * @param {import('./frames.js').LogEvent} event
 * @returns {State}
 */
function counted(state, event) {
  const entry = state.list.entries.get(event.room);
  if (!entry || event.type !== 'message' || !isLater(event.data.created_at, entry.last_message_at)) return state;
  const next = { ...entry, message_count: entry.message_count + 1, last_message_at: event.data.created_at };
  return { ...state, list: { ...state.list, entries: new Map(state.list.entries).set(event.room, next) } };
}

/** @param {State} state @param {Map<string, number>} seen @returns {State} */
function seenElsewhere(state, seen) {
  return everyRoom({ ...state, seen }, (room) => ({ ...room, seen: room.seen < 0 ? room.seen : Math.max(room.seen, Math.min(seen.get(room.name) ?? 0, room.news)) }));
}

/**
 * What is on the page, at its end, while somebody can be looking, is seen.
 * @param {State} state
 * @returns {State}
 */
function looked(state) {
  const room = shown(state);
  const position = room?.timeline.position?.seq ?? 0;
  const suspects = !state.renew && [...state.rooms.values()].some((room) => room.timeline.suspect);
  const next = suspects ? { ...state, renew: true } : state;
  if (!room || !state.isVisible || !room.atEnd || room.seen >= position) return next;
  return inRoom({ ...next, seen: new Map(next.seen).set(room.name, position) }, room.name, (room) => ({ ...room, seen: position }));
}

/** @param {State} state @param {string} name @param {(room: Room) => Room} change @returns {State} */
function inRoom(state, name, change) {
  const room = state.rooms.get(name);
  if (!room) return state;
  const next = change(room);
  return next === room ? state : { ...state, rooms: new Map(state.rooms).set(name, next) };
}

/** @param {State} state @param {string} key @param {(room: Room) => Room} change @returns {State} */
function ofDraft(state, key, change) {
  const room = [...state.rooms.values()].find((room) => room.outbox.some((draft) => draft.key === key));
  return room ? inRoom(state, room.name, change) : state;
}

/** @param {State} state @param {(room: Room) => Room} change @returns {State} */
function everyRoom(state, change) {
  return [...state.rooms.keys()].reduce((next, name) => inRoom(next, name, change), state);
}
