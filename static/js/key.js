// @ts-check
/**
 * Names that nobody else has.
 *
 * Owns how they are made. Promises 128 random bits, on pages that came over plain HTTP too, where browsers withhold
 * `randomUUID`.
 */

/** A new one: 32 hexadecimal digits. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
