// @ts-check
/**
 * One room, as this client stands to it: a pure fold of frames and of what its user wants.
 *
 * Owns whether one is in the room, its timeline, presence, typing, drafts and notices. Promises that a broken link loses
 * nothing of these but what is live, and that an answer which came too late (after a resync, say) is not taken for one
 * that was waited for. Never knows of other rooms, of the socket or of the page.
 */

import { asked, delay } from './backoff.js';
import { isRetryable } from './frames.js';
import * as outbox from './outbox.js';
import * as presence from './presence.js';
import * as timeline from './timeline.js';

/** @import { Gone, History, Joined, LogEvent, Presence as PresenceFrame, Refusal, RoomInfo, User } from './frames.js' */
/** @import { Outbox } from './outbox.js' */
/** @import { Presence, Typists } from './presence.js' */
/** @import { Timeline } from './timeline.js' */

/** Why drafts of a room that is closed to us cannot be sent, where the server does not say it. */
const CLOSED = 'this room is not open to you';
/** How many items a room keeps that is only watched, or read at its end. */
const WATCHED_ITEMS = 100;
const READ_ITEMS = 400;
/** How many notices a room keeps, and how long one goes on gathering who came and went. */
const NOTICES = 40;
const GATHER_MS = 120_000;

/**
 * `present` in it, `watch`ing its events without being present, or neither.
 * @typedef {'present' | 'watch' | 'none'} Wish
 *
 * Who came and went, in one breath: shown after the item of that seq.
 * @typedef {{ key: string, after: number, at: number, came: User[], went: User[] }} Notice
 *
 * A request that waits for its answer.
 * @typedef {{ kind: 'join' | 'tail' | 'older' | 'gap', room: string, wish?: Wish }} Asked
 *
 * @typedef {object} Room
 * @property {string} name
 * @property {RoomInfo | null} info
 * @property {Wish} wish what the user wants
 * @property {Wish} standing what the server was last told; `none` while one is not in
 * @property {boolean} joining whether a join waits for its answer
 * @property {boolean} admitted whether `joined` came on this link
 * @property {{ code: string, message: string } | null} refused why one is not in, until it is tried again
 * @property {number} notBefore when something may be asked again, in milliseconds since 1970
 * @property {number} attempts how often something was refused for now
 * @property {Timeline} timeline
 * @property {Set<string>} asked the ids of history requests that still count
 * @property {boolean} wantsOlder whether the reader is near the top
 * @property {boolean} atEnd whether the reader is at the newest message
 * @property {Presence} presence
 * @property {Typists} typists
 * @property {Notice[]} notices
 * @property {Outbox} outbox
 * @property {{ content: string } | null} recalled a draft its author takes back to write it anew; the last one
 * @property {number} news the seq of the newest message by another
 * @property {number} seen the seq up to which this person has seen the room
 * @property {string | null} reloaded why the timeline was started anew, until the reader is told
 */

/** @param {string} name @param {number | null} seen @returns {Room} */
export function room(name, seen) {
  return {
    name, info: null, wish: 'none', standing: 'none', joining: false, admitted: false, refused: null, notBefore: 0, attempts: 0,
    timeline: timeline.empty(), asked: new Set(), wantsOlder: false, atEnd: true,
    presence: presence.nobody(), typists: new Map(), notices: [], outbox: [], recalled: null, news: 0, seen: seen ?? -1, reloaded: null,
  };
}

/**
 * Whether something was said that this person has not seen.
 * @param {Room} room
 */
export function hasNews(room) {
  return room.seen >= 0 && room.news > room.seen;
}

/**
 * One is in.
 * @param {Room} room
 * @param {Joined} frame
 * @param {Wish | undefined} wish what was asked; undefined for a room of `hello`
 * @returns {Room}
 */
export function joined(room, frame, wish) {
  const isFirst = room.timeline.position === null;
  const enter = room.admitted && !isFirst ? timeline.rejoined : timeline.joined;
  const start = frame.cursor.seq;
  return {
    ...room, info: frame.info, standing: wish ?? 'present', joining: false, admitted: true, refused: null, attempts: 0, notBefore: 0,
    timeline: enter(room.timeline, frame.cursor, frame.messages, frame.more), outbox: frame.messages.reduce(outbox.shown, room.outbox),
    presence: presence.snapshot(frame.users, frame.count),
    news: isFirst ? start : room.news,
    seen: isFirst && (room.seen < 0 || room.seen > start) ? start : room.seen,
  };
}

/**
 * The log keeps a draft: until it shows it, unless it has done so already.
 * @param {Room} room
 * @param {string} key
 * @param {number | null} seq
 * @returns {Room}
 */
export function acked(room, key, seq) {
  const isPast = seq !== null && seq <= (room.timeline.position?.seq ?? 0);
  return { ...room, outbox: isPast ? outbox.without(room.outbox, key) : outbox.kept(room.outbox, key) };
}

/**
 * Drafts of an earlier page, or of one that was closed, come back; but for those the log shows already.
 * @param {Room} room
 * @param {import('./outbox.js').Kept[]} earlier
 * @param {string} me
 * @returns {Room}
 */
export function restored(room, earlier, me) {
  const drafts = outbox.restored(room.outbox, earlier, me);
  const messages = room.timeline.items.flatMap((item) => (item.kind === 'message' ? [item.message] : []));
  // Somebody has to be in the room for them to be sent.
  return { ...room, wish: room.wish === 'none' ? 'watch' : room.wish, outbox: messages.reduce(outbox.shown, drafts) };
}

/**
 * A draft's author takes it back, to write it anew.
 * @param {Room} room
 * @param {string} key
 * @returns {Room}
 */
export function recalled(room, key) {
  const draft = room.outbox.find((draft) => draft.key === key && draft.state === 'failed');
  return draft ? { ...room, outbox: outbox.without(room.outbox, key), recalled: { content: draft.content } } : room;
}

/**
 * Events were delivered: what follows from them besides the timeline.
 * @param {Room} room
 * @param {LogEvent[]} events
 * @param {string} me
 * @returns {Room}
 */
function heard(room, events, me) {
  let { info, typists, news, outbox: drafts } = room;
  for (const event of events) {
    if (event.type === 'room_changed') info = event.data.info;
    if (event.type !== 'message') continue;
    const { user } = event.data;
    drafts = outbox.shown(drafts, event.data);
    if (user.id !== me) news = event.seq;
    typists = presence.typed(typists, user, false, 0);
  }
  return { ...room, info, typists, news, outbox: drafts };
}

/**
 * An event came by the socket.
 * @param {Room} room
 * @param {LogEvent} event
 * @param {string} me
 */
export function event(room, event, me) {
  const step = timeline.event(room.timeline, event);
  return trimmed(heard({ ...room, timeline: step.timeline }, step.delivered, me));
}

/**
 * A page of history came.
 * @param {Room} room
 * @param {History} frame
 * @param {Asked} asked
 * @param {string} me
 * @param {number} now
 * @param {number} random
 * @returns {Room}
 */
export function history(room, frame, asked, me, now, random) {
  if (!room.asked.has(frame.id)) return room;
  const answered = { ...without(room, frame.id), attempts: 0, notBefore: 0 };
  if (asked.kind !== 'gap') {
    const next = timeline.tail(room.timeline, frame.messages, frame.more);
    return { ...answered, timeline: next, outbox: frame.messages.reduce(outbox.shown, room.outbox), wantsOlder: asked.kind === 'older' ? false : room.wantsOlder };
  }
  const step = timeline.page(room.timeline, frame.events, frame.more);
  const next = heard({ ...answered, timeline: step.timeline }, step.delivered, me);
  // A page that did not connect is asked for again, but not at once.
  return step.delivered.length > 0 ? trimmed(next) : { ...next, notBefore: now + delay(room.attempts, random), attempts: room.attempts + 1 };
}

/**
 * A request of this room was refused.
 * @param {Room} room
 * @param {Refusal} refusal
 * @param {Asked} asked_
 * @param {number} now
 * @param {number} random
 * @returns {Room}
 */
export function refused(room, refusal, asked_, now, random) {
  const wait = refusal.retryAfterMs === null ? delay(room.attempts, random) : asked(refusal.retryAfterMs, random);
  const later = { ...room, notBefore: now + wait, attempts: room.attempts + 1 };
  if (asked_.kind !== 'join') return { ...without(later, refusal.id), timeline: asked_.kind === 'gap' ? timeline.unanswered(room.timeline) : room.timeline, wantsOlder: false };
  if (isRetryable(refusal.code)) return { ...later, joining: false };
  return closed(room, refusal.code, refusal.message);
}

/**
 * The room is not this session's any more, or could not be resumed.
 * @param {Room} room
 * @param {Gone} frame
 * @param {number} now
 * @param {number} random
 * @returns {Room}
 */
export function gone(room, frame, now, random) {
  if (isRetryable(frame.reason)) return { ...out(room), notBefore: now + delay(room.attempts, random), attempts: room.attempts + 1 };
  return closed(room, frame.reason, '');
}

/**
 * What was missed cannot be replayed.
 * @param {Room} room
 * @param {import('./frames.js').Resync} frame
 * @returns {Room}
 */
export function resync(room, frame) {
  const { cursor, reason } = frame;
  // Answers still under way belong to the timeline that was: they would leave a hole in this one.
  const next = { ...room, timeline: timeline.restart(room.timeline, cursor), asked: new Set(), wantsOlder: false };
  const drafts = room.outbox.filter((draft) => draft.state !== 'kept');
  return { ...next, outbox: drafts, notices: [], reloaded: reason, news: Math.min(room.news, cursor.seq), seen: Math.min(room.seen, cursor.seq) };
}

/**
 * Who is here has changed.
 * @param {Room} room
 * @param {PresenceFrame} frame
 * @param {string} me
 * @param {number} now
 * @returns {Room}
 */
export function present(room, frame, me, now) {
  const folded = presence.fold(room.presence, frame);
  const others = (/** @type {User[]} */ users) => users.filter((user) => user.id !== me);
  const typists = folded.went.reduce((typists, user) => presence.typed(typists, user, false, now), room.typists);
  const next = { ...room, presence: folded.presence, typists };
  return room.standing === 'present' ? noticed(next, others(folded.came), others(folded.went), now) : next;
}

/**
 * The link broke. What was live is over; what was asked will not be answered; the position stays.
 * @param {Room} room
 * @returns {Room}
 */
export function unlinked(room) {
  const next = out(room);
  return { ...next, outbox: outbox.unanswered(room.outbox), notBefore: 0, timeline: { ...next.timeline, suspect: false } };
}

/** @param {Room} room @returns {Room} */
function out(room) {
  return { ...room, standing: 'none', joining: false, admitted: false, asked: new Set(), timeline: timeline.unanswered(room.timeline), typists: new Map() };
}

/** @param {Room} room @param {string} code @param {string} message @returns {Room} */
function closed(room, code, message) {
  return { ...out(room), refused: { code, message }, outbox: outbox.shut(room.outbox, message || CLOSED) };
}

/** @param {Room} room @param {string} id @returns {Room} */
function without(room, id) {
  const asked = new Set(room.asked);
  asked.delete(id);
  return { ...room, asked };
}

/** @param {Room} room @returns {Room} */
function trimmed(room) {
  const most = room.wish === 'present' ? READ_ITEMS : WATCHED_ITEMS;
  // Not while the reader is back in the past, nor while older items are on their way: they must join without a hole.
  if (room.timeline.items.length <= most * 2 || !room.atEnd || room.asked.size > 0) return room;
  const next = timeline.trimmed(room.timeline, most);
  const first = timeline.oldest(next);
  return { ...room, timeline: next, notices: room.notices.filter((notice) => notice.after >= first) };
}

/** @param {Room} room @param {User[]} came @param {User[]} went @param {number} now @returns {Room} */
function noticed(room, came, went, now) {
  if (came.length + went.length === 0) return room;
  const after = room.timeline.position?.seq ?? 0;
  const last = room.notices.at(-1);
  const gathers = last && last.after === after && now - last.at < GATHER_MS;
  const news = new Set([...came, ...went].map((user) => user.id));
  const keep = (/** @type {User[]} */ users) => users.filter((user) => !news.has(user.id));
  const notice = gathers
    ? { ...last, came: [...keep(last.came), ...came], went: [...keep(last.went), ...went] }
    : { key: `notice:${after}:${now}`, after, at: now, came, went };
  return { ...room, notices: [...(gathers ? room.notices.slice(0, -1) : room.notices), notice].slice(-NOTICES) };
}
