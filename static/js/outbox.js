// @ts-check
/**
 * What one has said in a room and the log has not shown yet.
 *
 * Owns the drafts of one room, in the order they were written. Promises one in flight at a time, so that order survives
 * refusals and broken links, and that a repeat carries the key of the first try, so that sending twice is sending once.
 * Never drops a draft by itself: it leaves when the log shows it, or when its author discards it. Never sends in another
 * name what may have been sent in one: a key is a user's own, so the log would take it for a second message.
 */

import { asked, delay } from './backoff.js';
import { isRetryable } from './frames.js';

/** @import { Refusal } from './frames.js' */

/** How many drafts may wait, in all rooms together. */
export const MOST_DRAFTS = 200;

/** Why a draft is not sent by itself to somebody else's account. */
const OTHER_AUTHOR = 'you wrote this as somebody else, so it may be there already';

/**
 * `waiting` for its turn or a link, `sent` and unanswered, `kept` by the log but not shown by it yet, `failed` for good.
 * @typedef {'waiting' | 'sent' | 'kept' | 'failed'} DraftState
 *
 * @typedef {object} Draft
 * @property {string} key made once: the message's `client_message_id`
 * @property {string} content
 * @property {string} author the id of the user who wrote it; empty until one is known
 * @property {number} at when it was written, in milliseconds since 1970; no two of a room are alike
 * @property {DraftState} state
 * @property {number} notBefore when it may be tried (again), in milliseconds since 1970
 * @property {number} attempts how often it was refused for now
 * @property {string | null} problem why it failed, in a sentence
 *
 * @typedef {Draft[]} Outbox
 *
 * What of a draft outlives the page.
 * @typedef {{ key: string, room: string, content: string, author: string, at: number, problem: string | null }} Kept
 */

/**
 * @param {Outbox} outbox
 * @param {{ key: string, content: string, author: string }} said
 * @param {number} now
 * @returns {Outbox}
 */
export function written(outbox, said, now) {
  return [...outbox, { ...said, at: after(outbox, now), state: 'waiting', notBefore: 0, attempts: 0, problem: null }];
}

/**
 * Those of an earlier page come back, each to the place where it was written.
 * @param {Outbox} outbox
 * @param {Kept[]} earlier
 * @param {string} me empty while one does not know who one is
 * @returns {Outbox}
 */
export function restored(outbox, earlier, me) {
  const fresh = earlier.filter(({ key }) => !outbox.some((draft) => draft.key === key)).map(draftOf);
  return greeted([...outbox, ...fresh].sort((a, b) => a.at - b.at), me);
}

/**
 * One knows who one is: what another wrote waits for a person to decide.
 * @param {Outbox} outbox
 * @param {string} me
 * @returns {Outbox}
 */
export function greeted(outbox, me) {
  const isOther = (/** @type {Draft} */ { state, author }) => state === 'waiting' && author !== '' && me !== '' && author !== me;
  return outbox.some(isOther) ? outbox.map((draft) => (isOther(draft) ? { ...draft, state: 'failed', problem: OTHER_AUTHOR } : draft)) : outbox;
}

/**
 * The draft whose turn it is, or null: none while one is in flight, and none past one that has to wait.
 * @param {Outbox} outbox
 * @param {number} now
 * @returns {Draft | null}
 */
export function next(outbox, now) {
  if (outbox.some((draft) => draft.state === 'sent')) return null;
  const first = outbox.find((draft) => draft.state === 'waiting');
  return first && first.notBefore <= now ? first : null;
}

/** @param {Outbox} outbox @param {string} key @param {string} author as whom */
export function sent(outbox, key, author) {
  return changed(outbox, key, { state: 'sent', author });
}

/** @param {Outbox} outbox @param {string} key */
export function kept(outbox, key) {
  return changed(outbox, key, { state: 'kept' });
}

/**
 * It was refused: for now, and then it keeps its turn, or for good.
 * @param {Outbox} outbox
 * @param {string} key
 * @param {Refusal} refusal
 * @param {number} now
 * @param {number} random between 0 and 1
 * @returns {Outbox}
 */
export function refused(outbox, key, refusal, now, random) {
  const draft = outbox.find((draft) => draft.key === key);
  if (!draft) return outbox;
  if (!isRetryable(refusal.code)) return changed(outbox, key, { state: 'failed', problem: refusal.message });
  const wait = refusal.retryAfterMs === null ? delay(draft.attempts, random) : asked(refusal.retryAfterMs, random);
  return changed(outbox, key, { state: 'waiting', notBefore: now + wait, attempts: draft.attempts + 1 });
}

/**
 * The link broke: what was in flight has an unknown outcome, and is sent again with its key.
 * @param {Outbox} outbox
 * @returns {Outbox}
 */
export function unanswered(outbox) {
  return outbox.map((draft) => (draft.state === 'sent' ? { ...draft, state: 'waiting', notBefore: 0 } : draft));
}

/**
 * One wants it tried again, as who one now is. It goes to the end: others may have passed it.
 * @param {Outbox} outbox
 * @param {string} key
 * @param {number} now
 * @returns {Outbox}
 */
export function retried(outbox, key, now) {
  const draft = outbox.find((draft) => draft.key === key && draft.state === 'failed');
  return draft ? written(without(outbox, key), { key, content: draft.content, author: '' }, now) : outbox;
}

/**
 * Waiting will not help any of them: the room is closed to us.
 * @param {Outbox} outbox
 * @param {string} problem
 * @returns {Outbox}
 */
export function shut(outbox, problem) {
  return outbox.map((draft) => (draft.state === 'waiting' ? { ...draft, state: 'failed', problem } : draft));
}

/**
 * The log shows a message: it is no draft any more.
 * @param {Outbox} outbox
 * @param {import('./frames.js').Message} message
 * @returns {Outbox}
 */
export function shown(outbox, { user, client_message_id: key }) {
  return outbox.some((draft) => draft.key === key && draft.author === user.id) ? without(outbox, String(key)) : outbox;
}

/**
 * One has discarded it, or it is in the log.
 * @param {Outbox} outbox
 * @param {string} key
 * @returns {Outbox}
 */
export function without(outbox, key) {
  return outbox.some((draft) => draft.key === key) ? outbox.filter((draft) => draft.key !== key) : outbox;
}

/**
 * When the next draft may go, if it has to wait for a moment to come.
 * @param {Outbox} outbox
 * @returns {number | null}
 */
export function dueAt(outbox) {
  if (outbox.some((draft) => draft.state === 'sent')) return null;
  return outbox.find((draft) => draft.state === 'waiting')?.notBefore ?? null;
}

/**
 * What of a room's drafts is to outlive the page: all that the log has not acknowledged.
 * @param {string} room
 * @param {Outbox} outbox
 * @returns {Kept[]}
 */
export function keeping(room, outbox) {
  return outbox.filter(({ state }) => state !== 'kept').map(({ key, content, author, at, problem }) => ({ key, room, content, author, at, problem }));
}

/**
 * What has to be written and removed for what is kept to become what is to be kept.
 * @param {Kept[]} before
 * @param {Kept[]} after
 * @returns {{ put: Kept[], remove: string[] }}
 */
export function changes(before, after) {
  const known = new Map(before.map((draft) => [draft.key, draft]));
  const keys = new Set(after.map(({ key }) => key));
  const isNew = (/** @type {Kept} */ { key, author, at, problem }) => {
    const old = known.get(key);
    return old?.author !== author || old.at !== at || old.problem !== problem;
  };
  return { put: after.filter(isNew), remove: [...known.keys()].filter((key) => !keys.has(key)) };
}

/** @param {Kept} kept @returns {Draft} */
function draftOf({ key, content, author, at, problem }) {
  return { key, content, author, at, state: problem === null ? 'waiting' : 'failed', notBefore: 0, attempts: 0, problem };
}

/** Now, or a little later: the times of a room's drafts are their order. @param {Outbox} outbox @param {number} now */
function after(outbox, now) {
  return Math.max(now, ...outbox.map(({ at }) => at + 1));
}

/** @param {Outbox} outbox @param {string} key @param {Partial<Draft>} change @returns {Outbox} */
function changed(outbox, key, change) {
  return outbox.map((draft) => (draft.key === key ? { ...draft, ...change } : draft));
}
