// @ts-check
/**
 * The page as a whole: which views there are and which of them are shown.
 *
 * Owns the frame around the views, the document's title and where the focus goes when the page changes. Promises to draw
 * from the state alone. Never sends anything: what its user wants leaves as an intent.
 */

import { shown } from '../state.js';
import { hasNews } from '../room.js';
import { attribute, byId } from './dom.js';
import { composer } from './composer.js';
import { identity } from './identity.js';
import { members } from './members.js';
import { newRoom, roomList } from './rooms.js';
import { status } from './status.js';
import { timeline } from './timeline.js';
import { title } from './title.js';

/** @import { Action, State } from '../state.js' */

/**
 * @typedef {object} Intents
 * @property {(action: Action) => void} dispatch
 * @property {(name: string) => void} choose a display name
 * @property {(room: { name: string, title: string, topic: string }, key: string) => Promise<void>} create
 * @property {() => void} reload the list of rooms
 * @property {() => void} more of the list of rooms
 * @property {() => void} reconnect
 * @property {(room: string, isTyping: boolean) => void} typing
 */

/**
 * @param {Document} document
 * @param {Intents} intents
 * @returns {(state: State) => void} draws
 */
export function app(document, intents) {
  const frame = byId(document, 'app', HTMLElement);
  const views = [
    roomList(document, 'lobby', intents), roomList(document, 'rail', intents), newRoom(document, intents), title(document, intents),
    timeline(document, intents), composer(document, intents), members(document, intents), identity(document, intents), status(document, intents),
  ];
  let page = '';
  return (state) => {
    const { route } = state;
    attribute(frame, 'data-page', route.page);
    attribute(frame, 'data-ready', state.list.isLoaded || state.list.problem !== null);
    byId(document, 'lobby', HTMLElement).hidden = route.page !== 'rooms';
    byId(document, 'room', HTMLElement).hidden = route.page !== 'room';
    byId(document, 'lost', HTMLElement).hidden = route.page !== 'lost';
    byId(document, 'rail', HTMLElement).hidden = route.page === 'rooms';
    for (const view of views) view(state);
    document.title = titleOf(state);
    const next = route.page === 'room' ? `room ${route.room}` : route.page;
    if (page !== '' && page !== next) focus(document, route.page);
    page = next;
  };
}

/** @param {State} state */
function titleOf(state) {
  const room = shown(state);
  const news = [...state.rooms.values()].filter(hasNews).length;
  const name = state.route.page === 'room' ? room?.info?.title ?? state.route.room : state.route.page === 'rooms' ? 'Rooms' : 'Not found';
  return `${news > 0 ? `(${news}) ` : ''}${name} · Parlour`;
}

/**
 * The page has changed: the focus goes to where one goes on, and what is read aloud is the new page's heading.
 * @param {Document} document
 * @param {'rooms' | 'room' | 'lost'} page
 */
function focus(document, page) {
  if (document.querySelector('dialog[open]')) return;
  const isFine = matchMedia('(pointer: fine)').matches;
  const id = page === 'rooms' ? 'lobby-title' : page === 'lost' ? 'lost-title' : isFine ? 'composer-text' : 'room-title';
  byId(document, id, HTMLElement).focus({ preventScroll: true });
}
