// @ts-check
/**
 * Wires the modules; alone in having effects on import.
 *
 * Owns the one state, the one connection and the order of what happens: an action changes the state, what the new state
 * wants is sent, and the page is drawn when the browser next draws. Promises that nothing else holds state that matters.
 * Never decides anything itself.
 */

import { createRoom, getRoom, listRooms, Problem } from './api.js';
import { Connection } from './connection.js';
import { openDatabase } from './database.js';
import { Drafts } from './drafts.js';
import { isRetryable } from './frames.js';
import { newKey } from './key.js';
import { dueAt, hello, next } from './plan.js';
import { hrefOfRoom, isId, parse, watch } from './router.js';
import { initial, keeping, reduce } from './state.js';
import * as storage from './storage.js';
import { app } from './view/app.js';

/** @import { Frame } from './frames.js' */
/** @import { Action, Route, State } from './state.js' */

/** How often the list of rooms is read again while somebody looks. */
const LIST_MS = 60_000;

let state = initial(storage.load());
let isSending = false;
let isDrawing = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

const connection = new Connection({ url: `${location.origin.replace(/^http/, 'ws')}/chat`, dispatch, hello: () => hello(state), heard });
const drafts = new Drafts({
  page: newKey(), open: openDatabase, locks: navigator.locks,
  restored: (drafts) => dispatch({ type: 'restored', drafts }), unkept: () => dispatch({ type: 'unkept' }),
});

const draw = app(document, {
  dispatch,
  choose,
  create,
  reload: () => list(''),
  more: () => list(state.list.next),
  reconnect: () => connection.open(),
  typing: (room, isTyping) => {
    if (state.link.phase === 'live' && state.rooms.get(room)?.standing === 'present') connection.send({ type: 'typing', room, typing: isTyping });
  },
});

watch(navigate);
document.addEventListener('visibilitychange', woke);
for (const change of ['online', 'offline']) addEventListener(change, () => connection.nudge());
addEventListener('pageshow', (event) => event.persisted && connection.nudge());
addEventListener('storage', ({ key, newValue }) => key === storage.SEEN && dispatch({ type: 'seen-elsewhere', seen: storage.parseSeen(newValue) }));
setInterval(() => state.isVisible && list(''), LIST_MS);

navigate(parse(location.pathname));
woke();
list('');
drafts.start();
if (!state.me.wantsName) connection.open();

/** @param {Action} action */
function dispatch(action) {
  const before = state;
  apply(action);
  if (!isSending) send();
  keep(before);
  if (state.renew && !before.renew) connection.lose();
  if (state !== before) drawSoon();
}

/** @param {Action} action */
function apply(action) {
  state = reduce(state, { ...action, now: Date.now(), random: Math.random() });
}

/** Sends what the state wants, and sets the clock for what it will want later. */
function send() {
  isSending = true;
  for (let request = next(state, Date.now()); request && connection.send(request.frame); request = next(state, Date.now())) apply(request.action);
  isSending = false;
  clearTimeout(timer);
  const due = dueAt(state, Date.now());
  if (due !== null) timer = setTimeout(() => dispatch({ type: 'tick' }), due - Date.now() + 1);
}

/** @param {State} before */
function keep(before) {
  if (state.me.token !== null && state.me.token !== before.me.token) storage.keepToken(state.me.token);
  if (state.rooms !== before.rooms) drafts.keep(keeping(state));
  // A moment at which drafts of a page that was closed may be waiting for another one.
  if (state.link.phase === 'live' && before.link.phase !== 'live') drafts.look();
  if (state.seen !== before.seen) storage.keepSeen(state.seen);
}

function drawSoon() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    draw(state);
  });
}

/** @param {Frame} frame */
function heard(frame) {
  if (frame.is === 'error' && frame.id === 'hello') return unwelcome(frame.code, frame.message);
  dispatch({ type: 'frame', frame });
}

/** @param {string} code @param {string} message */
function unwelcome(code, message) {
  if (isRetryable(code)) return connection.lose();
  connection.stop(message);
  if (code === 'INVALID_NAME') dispatch({ type: 'ask-name', isOpen: true, problem: message });
}

/** @param {string} name */
function choose(name) {
  const isSame = name === state.me.name && state.link.phase === 'live';
  storage.keepName(name);
  dispatch({ type: 'named', name });
  // A name is said in `hello`: another one takes another connection, which resumes where this one was.
  if (!isSame) connection.open();
}

/** @param {{ name: string, title: string, topic: string }} room @param {string} key */
async function create(room, key) {
  const made = await createRoom(room, key, state.me.token);
  history.pushState(null, '', hrefOfRoom(made.name));
  navigate({ page: 'room', room: made.name });
  list('');
}

/** @param {Route} route */
function navigate(route) {
  if (route.page === 'room' && isId(route.room)) return void named(route.room);
  dispatch({ type: 'navigate', route });
}

/** @param {string} id */
async function named(id) {
  const room = await getRoom(id).catch(() => null);
  if (!room) return dispatch({ type: 'navigate', route: { page: 'lost' } });
  history.replaceState(null, '', hrefOfRoom(room.name));
  navigate({ page: 'room', room: room.name });
}

/** @param {string} pageToken */
async function list(pageToken) {
  if (state.list.isLoading) return;
  dispatch({ type: 'listing' });
  try {
    dispatch({ type: 'listed', ...(await listRooms(pageToken)), isMore: pageToken !== '' });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    dispatch({ type: 'list-failed', problem: error.message });
  }
}

function woke() {
  const isVisible = document.visibilityState === 'visible';
  dispatch({ type: 'visible', isVisible });
  if (!isVisible) return;
  connection.nudge();
  drafts.look();
}
