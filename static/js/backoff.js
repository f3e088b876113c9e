// @ts-check
/**
 * How long to wait before trying again.
 *
 * Owns the delays between attempts. Promises that they grow, are bounded, and are spread, so that many clients that lost
 * the same server do not return in step. Never waits itself.
 */

const FIRST_MS = 500;
const MOST_MS = 15_000;
const LEAST_MS = 50;

/**
 * The delay before an attempt, in milliseconds: anything up to twice the one before ("full jitter").
 * @param {number} attempt how many attempts have failed before this one; 0 for the first
 * @param {number} random between 0 and 1
 */
export function delay(attempt, random) {
  const most = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(LEAST_MS + random * (most - LEAST_MS));
}

/**
 * The delay a server asked for, with a little spread added: never shorter.
 * @param {number} askedMs
 * @param {number} random between 0 and 1
 */
export function asked(askedMs, random) {
  return Math.round(askedMs * (1 + random * 0.25));
}
