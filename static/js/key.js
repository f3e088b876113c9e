// @ts-check
/**
 * Names that nobody else has.
 *
 * Owns how they are made. Promises the millisecond and 80 random bits, on pages that came over plain HTTP too, where
 * browsers withhold `randomUUID`; by the time first, so that the log's index of keys grows at a room's end.
 */

/** A new one: 32 hexadecimal digits. */
export function newKey() {
  const random = [...crypto.getRandomValues(new Uint8Array(10))].map((byte) => byte.toString(16).padStart(2, '0'));
  return Date.now().toString(16).padStart(12, '0') + random.join('');
}
