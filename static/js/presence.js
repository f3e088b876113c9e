// @ts-check
/**
 * Who is here, and who is typing.
 *
 * Owns the fold of snapshots and diffs, and of typing notes that lapse. Promises that a snapshot replaces all, that the
 * count is the server's even where names are left out, and that a diff heard twice changes nothing. Never guesses:
 * nobody comes or goes but by what a frame says.
 */

/** @import { User, Presence as PresenceFrame } from './frames.js' */

/** How long someone counts as typing after their last sign of it, in milliseconds: they repeat it each second. */
export const TYPING_MS = 5_000;
/** How many people may be remembered as typing. */
const TYPISTS = 50;

/**
 * @typedef {{ users: Map<string, User>, count: number }} Presence
 * @typedef {Map<string, { user: User, until: number }>} Typists
 */

/** @returns {Presence} */
export function nobody() {
  return { users: new Map(), count: 0 };
}

/**
 * The whole: what was known before does not matter.
 * @param {User[]} users in order of arrival
 * @param {number} count
 * @returns {Presence}
 */
export function snapshot(users, count) {
  return { users: new Map(users.map((user) => [user.id, user])), count };
}

/**
 * A frame: the whole or a difference. Says who is news because of it; a snapshot is no news.
 * @param {Presence} presence
 * @param {PresenceFrame} frame
 * @returns {{ presence: Presence, came: User[], went: User[] }}
 */
export function fold(presence, frame) {
  if (frame.snapshot) return { presence: snapshot(frame.users, frame.count), came: [], went: [] };
  const users = new Map(presence.users);
  const went = frame.left.filter((user) => users.delete(user.id));
  const came = frame.joined.filter((user) => !users.has(user.id));
  for (const user of [...frame.joined, ...frame.changed]) users.set(user.id, user);
  return { presence: { users, count: frame.count }, came, went };
}

/**
 * Someone typed, or stopped.
 * @param {Typists} typists
 * @param {User} user
 * @param {boolean} isTyping
 * @param {number} now
 * @returns {Typists}
 */
export function typed(typists, user, isTyping, now) {
  const next = new Map(typists);
  if (isTyping && (next.has(user.id) || next.size < TYPISTS)) next.set(user.id, { user, until: now + TYPING_MS });
  else next.delete(user.id);
  return next;
}

/**
 * Those who still are; the same map where nobody's time has passed.
 * @param {Typists} typists
 * @param {number} now
 * @returns {Typists}
 */
export function stillTyping(typists, now) {
  const next = [...typists].filter(([, { until }]) => until > now);
  return next.length === typists.size ? typists : new Map(next);
}
