// @ts-check
/**
 * The rooms there are, as cards or as a list beside a room, and the form for a new one.
 *
 * Owns how rooms are listed. Promises that what is new stands out in words, not by colour alone, and that a refusal of a
 * new room stands beside the field at fault. Never asks the server anything itself.
 */

import { Problem } from '../api.js';
import { counted, moment, slug } from '../format.js';
import { newKey } from '../key.js';
import { hasNews } from '../room.js';
import { hrefOfRoom } from '../router.js';
import { shown } from '../state.js';
import { attribute, byId, el, keyed, text } from './dom.js';

/** @import { Intents } from './app.js' */
/** @import { Listed, State } from '../state.js' */

/**
 * @typedef {object} Row
 * @property {string} key the room's name
 * @property {string} title
 * @property {string} topic
 * @property {number} online
 * @property {string} messages
 * @property {string | null} lastAt
 * @property {boolean} isNew
 * @property {boolean} isShown
 */

/**
 * @param {Document} document
 * @param {'lobby' | 'rail'} place
 * @param {Intents} intents
 */
export function roomList(document, place, intents) {
  const list = byId(document, `${place}-list`, HTMLElement);
  const note = byId(document, `${place}-note`, HTMLElement);
  const again = byId(document, `${place}-again`, HTMLButtonElement);
  const more = byId(document, `${place}-more`, HTMLButtonElement);
  again.addEventListener('click', intents.reload);
  more.addEventListener('click', intents.more);
  /** @type {Map<string, { node: HTMLElement, row: Row }>} */
  const kept = new Map();
  /** @type {unknown[]} */
  let drawn = [];
  /** @type {string | null} */
  let scrolledTo = null;
  return (/** @type {State} */ state) => {
    const isHidden = place === 'lobby' ? state.route.page !== 'rooms' : state.route.page === 'rooms';
    const basis = [state.list, state.rooms, state.route, new Date().toDateString()];
    if (isHidden || basis.every((part, index) => part === drawn[index])) return;
    drawn = basis;
    const { problem, isLoaded, entries, next, isLoading } = state.list;
    text(note, problem ?? (isLoaded && entries.size === 0 ? 'There are no rooms yet. Make the first one.' : isLoaded ? '' : 'Looking for rooms…'));
    note.hidden = note.textContent === '';
    again.hidden = problem === null;
    more.hidden = next === '';
    more.disabled = isLoading;
    keyed(list, kept, rowsOf(state), (row, node, before) => drawRow(row, node, before));
    const current = state.route.page === 'room' ? state.route.room : null;
    if (current !== scrolledTo && current !== null) kept.get(current)?.node.scrollIntoView({ block: 'nearest' });
    scrolledTo = current !== null && kept.has(current) ? current : null;
  };
}

/** @param {State} state @returns {Row[]} */
function rowsOf(state) {
  const now = new Date();
  return [...unlisted(state), ...state.list.entries.values()].map((entry) => {
    const room = state.rooms.get(entry.name);
    const online = room?.admitted ? room.presence.count : entry.online;
    return {
      key: entry.name, title: room?.info?.title ?? entry.title, topic: room?.info?.topic ?? entry.topic,
      online, messages: counted(entry.message_count, 'message', 'messages'),
      lastAt: entry.last_message_at === null ? null : moment(new Date(entry.last_message_at), now),
      isNew: room !== undefined && hasNews(room), isShown: state.route.page === 'room' && state.route.room === entry.name,
    };
  });
}

/**
 * The room on the page, where the list does not have it: it is new, or farther down than was read.
 * @param {State} state
 * @returns {Listed[]}
 */
function unlisted(state) {
  const room = shown(state);
  if (!room?.info || !state.list.isLoaded || state.list.entries.has(room.name)) return [];
  const { id, title, topic } = room.info;
  return [{ id, name: room.name, title, topic, online: room.presence.count, message_count: 0, last_message_at: null }];
}

/** @param {Row} row @param {HTMLElement | null} node @param {Row | null} before */
function drawRow(row, node, before) {
  if (node && before && JSON.stringify(before) === JSON.stringify(row)) return node;
  const item = node ?? el('li', { class: 'room-item' });
  const link = item.querySelector('a') ?? item.appendChild(el('a', { href: hrefOfRoom(row.key) }));
  attribute(link, 'aria-current', row.isShown ? 'page' : undefined);
  attribute(item, 'data-new', row.isNew);
  link.replaceChildren(
    el('span', { class: 'room-title' }, el('span', { class: 'room-hash', 'aria-hidden': 'true' }, '#'), el('span', { class: 'room-text' }, row.title)),
    el('span', { class: 'room-topic' }, row.topic === '' ? 'No topic yet' : row.topic),
    el('span', { class: 'room-facts' },
      el('span', { class: 'room-online', 'data-some': row.online > 0 }, row.online.toLocaleString('en'), el('span', { class: 'room-here' }, ' here')),
      el('span', { class: 'room-messages' }, row.messages),
      row.lastAt !== null && el('span', { class: 'room-last' }, row.lastAt)),
    row.isNew ? el('span', { class: 'badge' }, 'New') : '',
  );
  return item;
}

/**
 * The form for a new room.
 * @param {Document} document
 * @param {Intents} intents
 */
export function newRoom(document, intents) {
  const dialog = byId(document, 'new-room', HTMLDialogElement);
  const form = byId(document, 'new-room-form', HTMLFormElement);
  const title = byId(document, 'new-room-title', HTMLInputElement);
  const name = byId(document, 'new-room-name', HTMLInputElement);
  const topic = byId(document, 'new-room-topic', HTMLInputElement);
  const problem = byId(document, 'new-room-problem', HTMLElement);
  const submit = byId(document, 'new-room-submit', HTMLButtonElement);
  const fields = new Map([['title', title], ['name', name], ['topic', topic]]);
  let isNameOwn = false;
  // One key for one intention: pressing again after a broken answer makes no second room.
  let key = '';

  const say = (/** @type {string} */ sentence, /** @type {string | null} */ field) => {
    text(problem, sentence);
    problem.hidden = sentence === '';
    for (const [known, input] of fields) attribute(input, 'aria-invalid', known === field ? 'true' : undefined);
    if (field !== null) fields.get(field)?.focus();
  };
  for (const opener of document.querySelectorAll('[data-opens="new-room"]')) {
    opener.addEventListener('click', () => {
      form.reset();
      isNameOwn = false;
      key = newKey();
      say('', null);
      dialog.showModal();
    });
  }
  title.addEventListener('input', () => { if (!isNameOwn) name.value = slug(title.value); });
  name.addEventListener('input', () => { isNameOwn = name.value !== ''; });
  byId(document, 'new-room-cancel', HTMLButtonElement).addEventListener('click', () => dialog.close());
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const asked = { name: name.value.trim(), title: title.value.trim(), topic: topic.value.trim() };
    if (!/^[a-z0-9_-]{1,64}$/.test(asked.name)) return say('An address has 1 to 64 of a–z, 0–9, “-” and “_”.', 'name');
    submit.disabled = true;
    say('', null);
    try {
      await intents.create(asked, key);
      dialog.close();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      say(error.message, error.code === 'ROOM_EXISTS' ? 'name' : error.field);
    } finally {
      submit.disabled = false;
    }
  });
  return () => {};
}
