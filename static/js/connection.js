// @ts-check
/**
 * The life of the socket: open, greet, stay alive, come back.
 *
 * Owns one WebSocket at a time, the watch over it and the delays between tries. Promises that what a socket says after it
 * was given up is not heard, that a silent one is given up, that returns are jittered, and that a close code which does
 * not invite a return ends it. Never knows what a room is: it takes `hello` from outside and hands every frame on.
 */

import { delay } from './backoff.js';
import { decode, encode } from './frames.js';

/** @import { Fields, Frame } from './frames.js' */
/** @import { Action } from './state.js' */

/** A connection that lived this long starts the delays anew. */
const STEADY_MS = 5_000;
/** How long opening and greeting may take, and how long an answer to a probe. */
const GREET_MS = 10_000;
const PROBE_MS = 4_000;
/** Within which time one returns when a network or a whole office wakes up: at once, but not in step. */
const WAKE_MS = 400;
/** Heartbeats missed before the socket counts as lost, and a margin for their way. */
const MISSED = 2;
const MARGIN_MS = 5_000;
/** Close codes that do not invite a return. */
const FINAL_FIRST = 4500;
const FINAL_LAST = 4999;

/** What a close code that ends it means, for a person. @type {Map<number, string>} */
const SENTENCES = new Map([
  [4500, 'This page and the server do not understand each other. Reload the page to get its newest version.'],
  [4501, 'The server did not accept who you are.'],
  [4502, 'Something this page sent was too large.'],
  [4503, 'The server ended the connection after too many errors.'],
]);

/**
 * @typedef {object} Surroundings
 * @property {string} url
 * @property {(action: Action) => void} dispatch
 * @property {() => { frame: Fields & { type: string }, rooms: string[] }} hello
 * @property {(frame: Frame) => void} heard
 */

export class Connection {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} the next try, or the end of a stay the server has asked to end */
  #next;
  /** @type {ReturnType<typeof setTimeout> | undefined} the moment at which silence means loss */
  #watch;
  #attempt = 0;
  /** When the next try is due, in milliseconds since 1970. */
  #dueAt = 0;
  #liveSince = 0;
  #silenceMs = GREET_MS;
  #surroundings;

  /** @param {Surroundings} surroundings */
  constructor(surroundings) {
    this.#surroundings = surroundings;
  }

  /** Opens a socket now, in place of the one there is. */
  open() {
    this.#giveUp();
    this.#surroundings.dispatch({ type: 'link', phase: 'connecting' });
    const socket = new WebSocket(this.#surroundings.url);
    this.#socket = socket;
    this.#liveSince = 0;
    this.#silenceMs = GREET_MS;
    this.#listen();
    socket.addEventListener('open', () => this.#is(socket) && this.#greet());
    socket.addEventListener('message', ({ data }) => this.#is(socket) && this.#hear(decode(data)));
    socket.addEventListener('close', ({ code }) => this.#is(socket) && this.#closed(code));
  }

  /**
   * Ends it, with no return.
   * @param {string | null} reason
   */
  stop(reason) {
    this.#giveUp();
    this.#surroundings.dispatch({ type: 'link', phase: 'idle', reason });
  }

  /** Something woke up, a network or a tab: try now, or find out whether the socket still lives. */
  nudge() {
    if (!this.#socket) return this.#next === undefined ? undefined : this.#tryIn(Math.min(this.#dueAt - Date.now(), Math.random() * WAKE_MS));
    if (this.#liveSince === 0) return;
    this.send({ type: 'ping' });
    this.#listen(Math.min(PROBE_MS, this.#silenceMs));
  }

  /** The server cannot greet us now, or has to judge a contradiction: come back a little later. */
  lose() {
    this.#lost(null);
  }

  /** @param {Fields & { type: string }} frame @returns {boolean} whether it was taken */
  send(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(encode(frame));
    return true;
  }

  /** @param {WebSocket} socket */
  #is(socket) {
    return this.#socket === socket;
  }

  #greet() {
    const { frame, rooms } = this.#surroundings.hello();
    this.#surroundings.dispatch({ type: 'link', phase: 'greeting' });
    this.#surroundings.dispatch({ type: 'greeting', rooms });
    this.send(frame);
  }

  /** @param {Frame} frame */
  #hear(frame) {
    if (frame.is === 'welcome') {
      this.#liveSince = Date.now();
      this.#silenceMs = frame.heartbeatMs * MISSED + MARGIN_MS;
    }
    this.#listen();
    this.#surroundings.heard(frame);
    if (frame.is === 'heartbeat') this.send({ type: 'ping' });
    if (frame.is === 'going_away') this.#leaveIn(frame.retryAfterMs);
  }

  /** @param {number} ms */
  #leaveIn(ms) {
    clearTimeout(this.#next);
    this.#surroundings.dispatch({ type: 'leaving' });
    this.#next = setTimeout(() => this.open(), ms);
  }

  /** Waits for the next sign of life. */
  #listen(ms = this.#silenceMs) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#lost(null), ms);
  }

  /** @param {number} code */
  #closed(code) {
    if (code < FINAL_FIRST || code > FINAL_LAST) return this.#lost(code);
    this.#giveUp();
    const reason = SENTENCES.get(code) ?? 'The server ended the connection.';
    this.#surroundings.dispatch({ type: 'link', phase: 'ended', reason });
  }

  /** @param {number | null} code how the socket closed; null where it fell silent */
  #lost(code) {
    const wasSteady = this.#liveSince > 0 && Date.now() - this.#liveSince > STEADY_MS;
    this.#giveUp();
    this.#attempt = wasSteady ? 0 : this.#attempt;
    const waitMs = delay(this.#attempt, Math.random());
    this.#attempt += 1;
    this.#tryIn(waitMs, code === 4001 ? 'This connection was too slow to follow.' : null);
  }

  /** @param {number} ms @param {string | null} [reason] why the last one ended, where it is told */
  #tryIn(ms, reason) {
    clearTimeout(this.#next);
    this.#next = setTimeout(() => this.open(), ms);
    this.#dueAt = Date.now() + ms;
    this.#surroundings.dispatch({ type: 'link', phase: 'waiting', retryAt: this.#dueAt, reason });
  }

  /** Lets go of the socket: what it still says is not heard. */
  #giveUp() {
    clearTimeout(this.#next);
    clearTimeout(this.#watch);
    this.#next = undefined;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }
}
