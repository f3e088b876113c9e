// @ts-check
/**
 * The head of a room: its title, its topic, and why one is not in it.
 *
 * Owns what is shown when a room cannot be entered. Promises a way on from there. Never joins anything itself.
 */

import { shown } from '../state.js';
import { byId, text } from './dom.js';

/** @import { Intents } from './app.js' */
/** @import { State } from '../state.js' */

/** What a refusal means, for a person. @type {Map<string, string>} */
const SENTENCES = new Map([
  ['ROOM_NOT_FOUND', 'There is no such room, or it is not open to you.'],
  ['TOO_MANY_ROOMS', 'You are in too many rooms at once. Close some tabs and try again.'],
  ['FORBIDDEN', 'You may not enter this room.'],
]);

/**
 * @param {Document} document
 * @param {Intents} intents
 */
export function title(document, intents) {
  const heading = byId(document, 'room-title', HTMLElement);
  const topic = byId(document, 'room-topic', HTMLElement);
  const refusal = byId(document, 'refusal', HTMLElement);
  const reason = byId(document, 'refusal-reason', HTMLElement);
  let name = '';
  byId(document, 'refusal-again', HTMLButtonElement).addEventListener('click', () => intents.dispatch({ type: 'try-again', room: name }));
  return (/** @type {State} */ state) => {
    const room = shown(state);
    if (!room) return;
    name = room.name;
    const listed = state.list.entries.get(name);
    text(heading, room.info?.title ?? listed?.title ?? name);
    text(topic, room.info?.topic ?? listed?.topic ?? '');
    refusal.hidden = room.refused === null;
    if (room.refused) text(reason, SENTENCES.get(room.refused.code) ?? (room.refused.message || 'This room cannot be entered.'));
  };
}
