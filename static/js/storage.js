// @ts-check
/**
 * What outlives the page: one's name, the token that makes one the same guest, and what was seen of each room.
 *
 * Owns the keys in local storage. Promises that a browser which forbids storage costs the memory and nothing else, and
 * that what it reads back is checked. Never keeps messages.
 */

const NAME = 'parlour.name';
const TOKEN = 'parlour.guest_token';
export const SEEN = 'parlour.seen';
/** How many rooms are remembered: the ones seen last. */
const SEEN_ROOMS = 200;

/** What an earlier visit left behind. */
export function load() {
  return { name: read(NAME) ?? '', token: read(TOKEN), seen: parseSeen(read(SEEN)) };
}

/** @param {string} name */
export function keepName(name) {
  write(NAME, name);
}

/** @param {string} token */
export function keepToken(token) {
  write(TOKEN, token);
}

/** @param {Map<string, number>} seen */
export function keepSeen(seen) {
  write(SEEN, JSON.stringify([...seen].slice(-SEEN_ROOMS)));
}

/**
 * @param {string | null} text
 * @returns {Map<string, number>}
 */
export function parseSeen(text) {
  try {
    const pairs = JSON.parse(text ?? '[]');
    return new Map(Array.isArray(pairs) ? pairs.filter((pair) => Array.isArray(pair) && typeof pair[0] === 'string' && Number.isSafeInteger(pair[1])) : []);
  } catch {
    return new Map(); // written by something else: as good as nothing
  }
}

/** @param {string} key */
function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // storage is forbidden here
  }
}

/** @param {string} key @param {string} value */
function write(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Storage is forbidden or full: this visit works, the next one starts anew.
  }
}
