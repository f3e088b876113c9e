/**
 * The client's modules, for Node.
 *
 * Owns a copy of `static/js` in a temporary folder whose package says that its files are ES modules, which `static/`
 * itself, served as written, has no place to say. Promises that the folder is gone when the process ends.
 */

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const source = fileURLToPath(new URL('../../../../static/js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'parlour-client-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
cpSync(source, folder, { recursive: true, dereference: true });
writeFileSync(join(folder, 'package.json'), '{"type":"module"}');

/** A module of the client, by its path below `static/js`. */
export function load(path) {
  return import(pathToFileURL(join(folder, path)).href);
}

/** Numbers between 0 and 1, the same ones for a seed (mulberry32). */
export function dice(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
