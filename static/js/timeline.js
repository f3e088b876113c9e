// @ts-check
/**
 * A room's log as this client has it: the Follower, in JavaScript.
 *
 * Owns the position (a cursor), the items shown, and what is known to be missing. Promises that each event is handed on
 * once and in order, whatever the socket repeats, drops or brings early; that a timeline behind a head asks for what it
 * lacks; and that what cannot be made good is said (`suspect`). Never sends anything and never reads a clock: whoever
 * drives it asks `wanted` after every input.
 */

/** @import { Cursor, LogEvent, Message, RoomChange } from './frames.js' */

/** How many early events are kept while the gap before them is read. */
const PENDING = 64;
/** How many cursors are remembered, to notice a log that is no longer the same. */
const RECENT = 64;

/**
 * @typedef {{ seq: number, kind: 'message', message: Message } | { seq: number, kind: 'changed', change: RoomChange }} Item
 *
 * @typedef {object} Timeline
 * @property {Cursor | null} position the last event taken; null before the first `joined`
 * @property {Item[]} items by seq, each once; all at or before the position
 * @property {boolean} loaded whether the newest page of history is among the items
 * @property {boolean} more whether there is older history than the items
 * @property {LogEvent[]} pending early events, by seq
 * @property {number} want the highest seq known to exist
 * @property {{ after: number, want: number } | null} reading the page asked for and not answered yet
 * @property {Map<number, string>} recent the cursors of the newest events taken
 * @property {number} gaps how often something was found to be missing
 * @property {boolean} suspect whether something contradicts the position: only the server can tell
 *
 * @typedef {{ timeline: Timeline, delivered: LogEvent[] }} Step
 */

/** @returns {Timeline} */
export function empty() {
  return { position: null, items: [], loaded: false, more: false, pending: [], want: 0, reading: null, recent: new Map(), gaps: 0, suspect: false };
}

/**
 * One is in the room at a cursor: the start, or where one left off.
 * @param {Timeline} timeline
 * @param {Cursor} cursor
 * @param {Message[]} messages the newest not above the cursor, if any were asked for
 * @param {boolean} more
 * @returns {Timeline}
 */
export function joined(timeline, cursor, messages, more) {
  const resumed = timeline.position?.text === cursor.text;
  const start = resumed ? timeline : restart(timeline, cursor);
  if (messages.length === 0) return cursor.seq === 0 ? { ...start, loaded: true, more: false } : start;
  return tail(start, messages, more);
}

/**
 * One is in the room still: the cursor is how far the server has read to us, a head, and no new start.
 * @param {Timeline} timeline
 * @param {Cursor} cursor
 * @param {Message[]} messages
 * @param {boolean} more
 * @returns {Timeline}
 */
export function rejoined(timeline, cursor, messages, more) {
  const next = head(timeline, cursor);
  return messages.length > 0 ? tail(next, messages, more) : next;
}

/**
 * What was missed cannot be replayed: live from the cursor, history to be read anew.
 * @param {Timeline} timeline
 * @param {Cursor} cursor
 * @returns {Timeline}
 */
export function restart({ gaps }, cursor) {
  const loaded = cursor.seq === 0;
  return { ...empty(), position: cursor, want: cursor.seq, loaded, more: !loaded, recent: new Map([[cursor.seq, cursor.text]]), gaps };
}

/**
 * An event came by the socket.
 * @param {Timeline} timeline
 * @param {LogEvent} event
 * @returns {Step}
 */
export function event(timeline, event) {
  const { position } = timeline;
  if (!position) return { timeline, delivered: [] };
  if (event.seq <= position.seq) return { timeline: compared(timeline, event.cursor), delivered: [] };
  if (event.seq === position.seq + 1) return drained(take(timeline, [event]), [event]);
  const rest = timeline.pending.filter((known) => known.seq !== event.seq);
  const pending = [...rest, event].sort((a, b) => a.seq - b.seq).slice(0, PENDING);
  return { timeline: behind({ ...timeline, pending }, event.seq), delivered: [] };
}

/**
 * A head came: the log is at least this far. It comes after the events it counts, so being behind it is a gap.
 * @param {Timeline} timeline
 * @param {Cursor} head
 * @returns {Timeline}
 */
export function head(timeline, head) {
  if (!timeline.position) return timeline;
  if (head.seq <= timeline.position.seq) return compared(timeline, head);
  return behind(timeline, head.seq);
}

/**
 * Whether something is known to be missing.
 * @param {Timeline} timeline
 */
export function isBehind({ position, want }) {
  return position !== null && want > position.seq;
}

/**
 * The page to ask for, or null: one read at a time, always after the present position.
 * @param {Timeline} timeline
 */
export function wanted(timeline) {
  const { position, reading } = timeline;
  return position && !reading && isBehind(timeline) ? position.seq : null;
}

/**
 * The page was asked for.
 * @param {Timeline} timeline
 * @returns {Timeline}
 */
export function asked(timeline) {
  return timeline.position ? { ...timeline, reading: { after: timeline.position.seq, want: timeline.want } } : timeline;
}

/**
 * The answer to it came.
 * @param {Timeline} timeline
 * @param {LogEvent[]} events oldest first
 * @param {boolean} more
 * @returns {Step}
 */
export function page(timeline, events, more) {
  const { position, reading } = timeline;
  if (!position || !reading) return { timeline, delivered: [] };
  const next = connected(position.seq, events);
  const read = drained(take({ ...timeline, reading: null }, next), next);
  const reached = read.timeline.position?.seq ?? 0;
  // The log ends here and nothing newer was heard of since asking: what was wanted is not in this log.
  const isOver = !more && reached < timeline.want && timeline.want === reading.want && next.length === 0;
  return isOver ? { ...read, timeline: { ...read.timeline, want: reached, pending: [] } } : read;
}

/**
 * What was asked for will not be answered: the link broke, or the answer was a refusal.
 * @param {Timeline} timeline
 * @returns {Timeline}
 */
export function unanswered(timeline) {
  return timeline.reading ? { ...timeline, reading: null } : timeline;
}

/**
 * Older messages came; also the newest page, where it was missing.
 * @param {Timeline} timeline
 * @param {Message[]} messages
 * @param {boolean} more
 * @returns {Timeline}
 */
export function tail(timeline, messages, more) {
  const last = timeline.position?.seq ?? 0;
  const known = new Set(timeline.items.map((item) => item.seq));
  const fresh = messages.filter((message) => message.id <= last && !known.has(message.id)).map(itemOfMessage);
  const items = [...fresh, ...timeline.items].sort((a, b) => a.seq - b.seq);
  const reachesBelow = timeline.items.length > 0 && messages.length > 0 && timeline.items[0].seq < messages[0].id;
  // A page with nothing on it ends the past, whatever it says: asking for it again would bring the same.
  const goesOn = more && messages.length > 0;
  return { ...timeline, items, loaded: true, more: reachesBelow ? timeline.more : goesOn };
}

/**
 * The lowest seq shown: older history is what lies below it.
 * @param {Timeline} timeline
 */
export function oldest(timeline) {
  return timeline.items[0]?.seq ?? (timeline.position ? timeline.position.seq + 1 : 0);
}

/**
 * Forgets all but the newest items, which history brings back when they are asked for.
 * @param {Timeline} timeline
 * @param {number} keep
 * @returns {Timeline}
 */
export function trimmed(timeline, keep) {
  return timeline.items.length > keep ? { ...timeline, items: timeline.items.slice(-keep), more: true } : timeline;
}

/**
 * Those events of a page that follow on a seq without a hole.
 * @param {number} seq
 * @param {LogEvent[]} events
 */
function connected(seq, events) {
  /** @type {LogEvent[]} */
  const next = [];
  for (const event of events) {
    if (event.seq === seq + next.length + 1) next.push(event);
    else if (event.seq > seq + next.length) break;
  }
  return next;
}

/** @param {Timeline} timeline @param {number} seq one that exists, and is not next @returns {Timeline} */
function behind(timeline, seq) {
  return { ...timeline, want: Math.max(timeline.want, seq), gaps: timeline.gaps + (isBehind(timeline) ? 0 : 1) };
}

/** @param {Timeline} timeline @param {LogEvent[]} delivered @returns {Step} */
function drained(timeline, delivered) {
  const seq = timeline.position?.seq ?? 0;
  const next = connected(seq, timeline.pending);
  const reached = seq + next.length;
  const pending = timeline.pending.filter((event) => event.seq > reached);
  return { timeline: take({ ...timeline, pending }, next), delivered: [...delivered, ...next] };
}

/** @param {Timeline} timeline @param {LogEvent[]} events each the next @returns {Timeline} */
function take(timeline, events) {
  const last = events.at(-1);
  if (!last) return timeline;
  const recent = [...timeline.recent, ...events.map((event) => /** @type {[number, string]} */ ([event.seq, event.cursor.text]))];
  const items = [...timeline.items, ...events.flatMap(itemOfEvent)];
  return { ...timeline, position: last.cursor, want: Math.max(timeline.want, last.seq), items, recent: new Map(recent.slice(-RECENT)) };
}

/** @param {Timeline} timeline @param {Cursor} cursor one at or before the position @returns {Timeline} */
function compared(timeline, cursor) {
  const known = timeline.recent.get(cursor.seq);
  return known !== undefined && known !== cursor.text ? { ...timeline, suspect: true } : timeline;
}

/** @param {LogEvent} event @returns {Item[]} */
function itemOfEvent(event) {
  if (event.type === 'message') return [{ seq: event.seq, kind: 'message', message: event.data }];
  if (event.type === 'room_changed') return [{ seq: event.seq, kind: 'changed', change: event.data }];
  return [];
}

/** @param {Message} message @returns {Item} */
function itemOfMessage(message) {
  return { seq: message.id, kind: 'message', message };
}
