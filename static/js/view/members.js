// @ts-check
/**
 * Who is here: beside the room where there is space, else in a drawer.
 *
 * Owns the panel and whether the drawer is open. Promises the server's count even where not every name is known. Never
 * works out presence itself.
 */

import { counted } from '../format.js';
import { shown } from '../state.js';
import { attribute, avatar, byId, el, keyed, paintAvatar, text } from './dom.js';

/** @import { Intents } from './app.js' */
/** @import { State } from '../state.js' */

/** @typedef {{ key: string, id: string, name: string, note: string }} Row */

/**
 * @param {Document} document
 * @param {Intents} intents
 */
export function members(document, intents) {
  const panel = byId(document, 'members', HTMLElement);
  const list = byId(document, 'members-list', HTMLElement);
  const count = byId(document, 'members-count', HTMLElement);
  const rest = byId(document, 'members-rest', HTMLElement);
  const toggle = byId(document, 'members-toggle', HTMLButtonElement);
  const toggleCount = byId(document, 'members-toggle-count', HTMLElement);
  const close = byId(document, 'members-close', HTMLButtonElement);
  const shade = byId(document, 'members-shade', HTMLElement);
  /** @type {Map<string, { node: HTMLElement, row: Row }>} */
  const kept = new Map();
  let name = '';

  const open = (/** @type {boolean} */ isOpen) => {
    attribute(panel, 'data-open', isOpen);
    attribute(shade, 'data-open', isOpen);
    attribute(toggle, 'aria-expanded', String(isOpen));
    (isOpen ? close : toggle).focus();
  };
  toggle.addEventListener('click', () => open(panel.dataset.open === undefined));
  close.addEventListener('click', () => open(false));
  shade.addEventListener('click', () => open(false));
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && panel.dataset.open !== undefined) open(false); });
  byId(document, 'members-rename', HTMLButtonElement).addEventListener('click', () => intents.dispatch({ type: 'ask-name', isOpen: true }));

  return (/** @type {State} */ state) => {
    const room = shown(state);
    panel.hidden = room === null || room.refused !== null;
    toggle.hidden = panel.hidden;
    if (!room || room.name !== name) for (const part of [panel, shade]) attribute(part, 'data-open', false);
    if (!room) return void (name = '');
    if (room.name !== name) attribute(toggle, 'aria-expanded', 'false');
    name = room.name;
    // What a broken link last said is better than nothing, and is marked as such by the state of the link.
    const { users, count: total } = room.presence;
    text(count, String(total));
    text(toggleCount, String(total));
    attribute(toggle, 'aria-label', `Who is here: ${counted(total, 'person', 'people')}`);
    const rows = [...users.values()].map(({ id, name }) => ({ key: id, id, name, note: id === state.me.id ? 'you' : '' }));
    rows.sort((a, b) => Number(b.note === 'you') - Number(a.note === 'you'));
    const unnamed = Math.max(0, total - rows.length);
    text(rest, unnamed > 0 ? `and ${counted(unnamed, 'other', 'others')}` : '');
    keyed(list, kept, rows, drawRow);
  };
}

/** @param {Row} row @param {HTMLElement | null} node @param {Row | null} before */
function drawRow(row, node, before) {
  if (node && before && before.name === row.name && before.note === row.note) return node;
  const item = node ?? el('li', { class: 'person' }, avatar(row), el('span', { class: 'person-name' }), el('span', { class: 'person-note' }));
  const [disc, label, note] = item.children;
  if (disc instanceof HTMLElement) paintAvatar(disc, row);
  text(label, row.name);
  text(note, row.note);
  return item;
}
