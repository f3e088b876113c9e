// @ts-check
/**
 * What one has said in a room and the log has not shown yet.
 *
 * Owns the drafts of one room, in the order they were written. Promises one in flight at a time, so that order survives
 * refusals and broken links, and that a repeat carries the key of the first try, so that sending twice is sending once.
 * Never drops a draft by itself: it leaves when the log shows it, or when its author discards it.
 */

import { asked, delay } from './backoff.js';
import { isRetryable } from './frames.js';

/** @import { Refusal } from './frames.js' */

/** How many drafts may wait in one room. */
export const MOST_DRAFTS = 50;

/**
 * `waiting` for its turn or a link, `sent` and unanswered, `kept` by the log but not shown by it yet, `failed` for good.
 * @typedef {'waiting' | 'sent' | 'kept' | 'failed'} DraftState
 *
 * @typedef {object} Draft
 * @property {string} key made once: the message's `client_message_id`
 * @property {string} content
 * @property {number} at when it was written, in milliseconds since 1970
 * @property {DraftState} state
 * @property {number} notBefore when it may be tried (again), in milliseconds since 1970
 * @property {number} attempts how often it was refused for now
 * @property {string | null} problem why it failed, in a sentence
 *
 * @typedef {Draft[]} Outbox
 */

/**
 * @param {Outbox} outbox
 * @param {string} key
 * @param {string} content
 * @param {number} now
 * @returns {Outbox}
 */
export function written(outbox, key, content, now) {
  if (outbox.length >= MOST_DRAFTS) return outbox;
  return [...outbox, { key, content, at: now, state: 'waiting', notBefore: 0, attempts: 0, problem: null }];
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

/** @param {Outbox} outbox @param {string} key */
export function sent(outbox, key) {
  return changed(outbox, key, { state: 'sent' });
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
 * Its author wants it tried again. It goes to the end: others may have passed it.
 * @param {Outbox} outbox
 * @param {string} key
 * @returns {Outbox}
 */
export function retried(outbox, key) {
  const draft = outbox.find((draft) => draft.key === key && draft.state === 'failed');
  if (!draft) return outbox;
  return [...without(outbox, key), { ...draft, state: 'waiting', notBefore: 0, attempts: 0, problem: null }];
}

/**
 * The log shows it, or its author has discarded it.
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

/** @param {Outbox} outbox @param {string} key @param {Partial<Draft>} change @returns {Outbox} */
function changed(outbox, key, change) {
  return outbox.map((draft) => (draft.key === key ? { ...draft, ...change } : draft));
}
