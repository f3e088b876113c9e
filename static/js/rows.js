// @ts-check
/**
 * The lines of a room's log as they are shown.
 *
 * Owns the order of messages, notices, drafts and days, and which messages of one author stand together. Promises that a
 * draft and the message it becomes are the same line. Never touches the document.
 */

import { dayKey } from './format.js';

/** @import { RoomInfo, User } from './frames.js' */
/** @import { DraftState } from './outbox.js' */
/** @import { Room } from './room.js' */
/** @import { Me } from './state.js' */

/** How long one may pause and still go on with the same paragraph. */
const PAUSE_MS = 5 * 60_000;

/**
 * @typedef {{ kind: 'day', key: string, date: Date }} DayRow
 * @typedef {{ kind: 'message', key: string, seq: number, user: User, content: string, date: Date, isLead: boolean, isOwn: boolean, state: DraftState | 'logged', problem: string | null, draft: string | null }} MessageRow
 * @typedef {{ kind: 'presence', key: string, came: User[], went: User[] }} PresenceRow
 * @typedef {{ kind: 'changed', key: string, user: User, info: RoomInfo }} ChangedRow
 * @typedef {DayRow | MessageRow | PresenceRow | ChangedRow} Row
 */

/**
 * @param {Room} room
 * @param {Me} me
 * @returns {Row[]}
 */
export function rows(room, me) {
  /** @type {Row[]} */
  const rows = [];
  const notices = [...room.notices];
  let day = '';
  const add = (/** @type {Row} */ row, /** @type {Date} */ date) => {
    // Days only go forward: a notice has this browser's time, which may be a little behind the log's.
    if (dayKey(date) > day) {
      day = dayKey(date);
      rows.push({ kind: 'day', key: `day:${day}`, date });
    }
    rows.push(row.kind === 'message' ? { ...row, isLead: !continues(rows.at(-1), row) } : row);
  };
  const noticesBefore = (/** @type {number} */ seq) => {
    while (notices.length > 0 && notices[0].after < seq) {
      const { key, at, came, went } = /** @type {import('./room.js').Notice} */ (notices.shift());
      add({ kind: 'presence', key, came, went }, new Date(at));
    }
  };
  for (const item of room.timeline.items) {
    noticesBefore(item.seq);
    if (item.kind === 'changed') {
      add({ kind: 'changed', key: `seq:${item.seq}`, user: item.change.user, info: item.change.info }, new Date(item.change.created_at));
      continue;
    }
    const { user, content, client_message_id: draftKey, created_at } = item.message;
    const isOwn = user.id === me.id;
    const key = isOwn && draftKey !== undefined ? `own:${draftKey}` : `seq:${item.seq}`;
    const date = new Date(created_at);
    add({ kind: 'message', key, seq: item.seq, user, content, date, isLead: true, isOwn, state: 'logged', problem: null, draft: null }, date);
  }
  noticesBefore(Infinity);
  const user = { id: me.id, name: me.name, guest: me.guest };
  for (const { key, content, at, state, problem } of room.outbox) {
    const date = new Date(at);
    add({ kind: 'message', key: `own:${key}`, seq: 0, user, content, date, isLead: true, isOwn: true, state, problem, draft: key }, date);
  }
  return rows;
}

/** @param {Row | undefined} before @param {MessageRow} row */
function continues(before, row) {
  return before?.kind === 'message' && before.user.id === row.user.id && before.user.name === row.user.name
    && row.date.getTime() - before.date.getTime() < PAUSE_MS;
}
