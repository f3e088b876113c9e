// @ts-check
/**
 * How times, counts, names and rooms are written for people.
 *
 * Owns the wording of what is computed. Promises the reader's own time zone and language for times, and the same colour
 * for the same person everywhere. Never touches the document.
 */

const DAY_MS = 86_400_000;
const TIME = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });
const DAY = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long' });
const DAY_OF_YEAR = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'long', year: 'numeric' });
const SHORT_DAY = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short' });

/** @param {Date} date */
export function time(date) {
  return TIME.format(date);
}

/** @param {Date} date */
export function fullTime(date) {
  return FULL.format(date);
}

/**
 * The day of a moment in the reader's zone, as `2026-11-24`.
 * @param {Date} date
 */
export function dayKey(date) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/**
 * @param {Date} date
 * @param {Date} now
 */
export function day(date, now) {
  if (dayKey(date) === dayKey(now)) return 'Today';
  if (dayKey(date) === dayKey(new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1))) return 'Yesterday';
  return Math.abs(now.getTime() - date.getTime()) < 180 * DAY_MS ? DAY.format(date) : DAY_OF_YEAR.format(date);
}

/**
 * When something last happened, as short as can be.
 * @param {Date} date
 * @param {Date} now
 */
export function moment(date, now) {
  const label = day(date, now);
  if (label === 'Today') return time(date);
  return label === 'Yesterday' ? label : SHORT_DAY.format(date);
}

/**
 * Whether a moment is after another; both RFC 3339 in UTC, with fractions of any length.
 * @param {string} a
 * @param {string | null} b
 */
export function isLater(a, b) {
  if (b === null) return true;
  const [left, right] = [Date.parse(a), Date.parse(b)];
  return left !== right ? left > right : fraction(a) > fraction(b);
}

/** @param {number} count @param {string} one @param {string} many */
export function counted(count, one, many) {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/**
 * Names in a sentence: `Ada`, `Ada and Bob`, `Ada, Bob and 3 others`.
 * @param {string[]} names
 */
export function names(names) {
  if (names.length <= 2) return names.join(' and ');
  if (names.length === 3) return `${names[0]}, ${names[1]} and ${names[2]}`;
  return `${names[0]}, ${names[1]} and ${names.length - 2} others`;
}

/**
 * One or two letters that stand for a name.
 * @param {string} name
 */
export function initials(name) {
  const words = name.split(/[\s._-]+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = words.map((word) => [...word].find((letter) => /[\p{L}\p{N}]/u.test(letter)) ?? '');
  return (letters.length > 1 ? letters[0] + letters[letters.length - 1] : letters[0] ?? '?').toLocaleUpperCase();
}

/**
 * A hue, in degrees, that is always the same for an id.
 * @param {string} id
 */
export function hue(id) {
  let hash = 0x811c9dc5;
  for (const letter of id) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  return ((hash >>> 0) % 24) * 15;
}

/**
 * A room name made of a title: a slug of `a-z 0-9 - _`, at most 64 characters.
 * @param {string} title
 */
export function slug(title) {
  const plain = title.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
  return plain.replace(/[^a-z0-9_]+/g, '-').slice(0, 64).replace(/^-+|-+$/g, '');
}

/**
 * Why a display name will not do, in a sentence, or null.
 * @param {string} name
 */
export function problemWithName(name) {
  if (name.trim() === '') return 'Please choose a name.';
  if ([...name].length > 64) return 'That is longer than 64 characters.';
  if (/[<>&"]/.test(name)) return 'A name cannot have < > & or " in it.';
  return /\p{Cc}/u.test(name) ? 'A name cannot have control characters in it.' : null;
}

/** @param {string} moment */
function fraction(moment) {
  return (/\.(\d+)/.exec(moment)?.[1] ?? '').padEnd(9, '0');
}
