// @ts-check
/**
 * A room's log on the page.
 *
 * Owns its lines and the place of the reader among them. Promises that a reader at the end stays there, that one back in
 * the past is not moved by what comes, before or after, and that text is only text. Never orders anything: rows come in
 * order.
 */

import { counted, day, fullTime, names, time } from '../format.js';
import { rows } from '../rows.js';
import { shown } from '../state.js';
import { attribute, avatar, byId, el, keyed, text } from './dom.js';

/** @import { Intents } from './app.js' */
/** @import { Room } from '../room.js' */
/** @import { ChangedRow, MessageRow, PresenceRow, Row } from '../rows.js' */
/** @import { State } from '../state.js' */

/** How near an end counts as being there, in pixels. */
const NEAR_END = 48;
const NEAR_TOP = 240;
/** What can be done with a draft that failed. */
const DOES = /** @type {const} */ (['retry', 'edit', 'discard']);
const WORDS = { retry: 'Try again', edit: 'Edit', discard: 'Discard' };

/**
 * @param {Document} document
 * @param {Intents} intents
 */
export function timeline(document, intents) {
  const log = byId(document, 'log', HTMLElement);
  const lines = byId(document, 'log-lines', HTMLElement);
  const beginning = byId(document, 'log-beginning', HTMLElement);
  const jump = byId(document, 'log-jump', HTMLButtonElement);
  /** @type {Map<string, { node: HTMLElement, row: Row }>} */
  const kept = new Map();
  /** @type {unknown[]} */
  let drawn = [];
  /** @type {Room | null} */
  let room = null;
  let unread = 0;

  const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END;
  const toEnd = () => { log.scrollTop = log.scrollHeight; };
  const look = () => {
    if (!room || log.clientHeight === 0) return;
    if (isAtEnd() !== room.atEnd) intents.dispatch({ type: 'at-end', room: room.name, atEnd: isAtEnd() });
    if (log.scrollTop < NEAR_TOP && room.timeline.loaded && room.timeline.more && !room.wantsOlder) intents.dispatch({ type: 'older', room: room.name });
  };
  log.addEventListener('scroll', look, { passive: true });
  jump.addEventListener('click', () => { toEnd(); log.focus({ preventScroll: true }); });
  // The window, the keyboard of a phone or the composer changed its size: whoever was at the end still is.
  new ResizeObserver(() => { if (room?.atEnd) toEnd(); look(); }).observe(log);
  lines.addEventListener('click', ({ target }) => {
    const button = target instanceof Element ? target.closest('button') : null;
    const key = button?.dataset.draft;
    if (!room || !button || key === undefined) return;
    const does = DOES.find((does) => does === button.dataset.does);
    if (does) intents.dispatch({ type: does, room: room.name, key });
  });

  return (/** @type {State} */ state) => {
    const next = shown(state);
    const basis = [next?.name, next?.timeline, next?.outbox, next?.notices, next?.refused, next?.wantsOlder, state.me, state.link.phase === 'live', new Date().toDateString()];
    const isSame = basis.every((part, index) => part === drawn[index]);
    const isOther = next?.name !== room?.name;
    const grown = next && !isOther ? (next.timeline.position?.seq ?? 0) - (room?.timeline.position?.seq ?? 0) : 0;
    room = next;
    if (!next) return;
    unread = isOther || next.atEnd ? 0 : unread + Math.max(0, grown);
    jump.hidden = next.atEnd;
    text(jump, unread > 0 ? `${counted(unread, 'new message', 'new messages')} below` : 'Go to the newest');
    if (isSame) return;
    drawn = basis;
    const place = anchor(log, lines);
    attribute(log, 'aria-label', `Messages in ${next.info?.title ?? next.name}`);
    attribute(log, 'aria-busy', next.timeline.loaded ? undefined : 'true');
    // Drafts of a room that is closed to us are still there to be discarded.
    log.hidden = next.refused !== null && next.outbox.length === 0;
    attribute(lines, 'data-closed', next.refused !== null || next.info?.archived === true);
    drawBeginning(beginning, next);
    keyed(lines, kept, rows(next, state.me), (row, node, before) => drawRow(row, node, before, state.link.phase === 'live'));
    if (isOther || next.atEnd) toEnd();
    else place();
    // After the browser has laid it out: the page may not even fill the window yet.
    requestAnimationFrame(look);
  };
}

/**
 * Remembers where the first visible line stands; the function returned puts it there again.
 * @param {HTMLElement} log
 * @param {HTMLElement} lines
 */
function anchor(log, lines) {
  const top = log.getBoundingClientRect().top;
  const first = [...lines.children].find((line) => line.getBoundingClientRect().bottom > top);
  const was = first?.getBoundingClientRect().top ?? 0;
  return () => {
    if (first?.isConnected) log.scrollTop += first.getBoundingClientRect().top - was;
  };
}

/** @param {HTMLElement} beginning @param {Room} room */
function drawBeginning(beginning, room) {
  const { loaded, more, items } = room.timeline;
  const is = !loaded ? 'loading' : more ? 'more' : items.length === 0 ? 'empty' : 'start';
  attribute(beginning, 'data-is', is);
  const sentences = { loading: 'Fetching messages…', more: 'Fetching older messages…', empty: 'Nothing has been said here yet. Say hello.', start: `This is where ${room.info?.title ?? room.name} begins.` };
  text(beginning, sentences[is]);
}

/** @param {Row} row @param {HTMLElement | null} node @param {Row | null} before @param {boolean} isLive */
function drawRow(row, node, before, isLive) {
  if (row.kind === 'message') return drawMessage(row, node, before?.kind === 'message' ? before : null, isLive);
  if (row.kind === 'day') return drawDay(row.date, node);
  const line = node ?? el('li', { class: 'notice' });
  text(line, row.kind === 'presence' ? presenceSentence(row) : changedSentence(row));
  return line;
}

/** @param {Date} date @param {HTMLElement | null} node */
function drawDay(date, node) {
  const line = node ?? el('li', { class: 'day' }, el('time', { datetime: date.toISOString().slice(0, 10) }));
  const label = line.querySelector('time');
  if (label) text(label, day(date, new Date()));
  return line;
}

/** @param {MessageRow} row @param {HTMLElement | null} node @param {MessageRow | null} before @param {boolean} isLive */
function drawMessage(row, node, before, isLive) {
  const isSame = before !== null && before.isLead === row.isLead && before.content === row.content && before.user.name === row.user.name
    && before.date.getTime() === row.date.getTime() && before.isOwn === row.isOwn;
  const line = node && isSame ? node : messageLine(row);
  attribute(line, 'data-state', row.state);
  attribute(line, 'data-seq', row.seq > 0 ? row.seq : undefined);
  const status = line.querySelector('.message-status');
  if (!(status instanceof HTMLElement) || (isSame && line.dataset.live === String(isLive) && before?.state === row.state)) return line;
  attribute(line, 'data-live', String(isLive));
  drawStatus(status, row, isLive);
  return line;
}

/** @param {MessageRow} row */
function messageLine(row) {
  const when = el('time', { class: 'message-time', datetime: row.date.toISOString(), title: fullTime(row.date) }, time(row.date));
  const name = el('span', { class: 'message-author' }, row.isOwn ? 'You' : row.user.name);
  const head = row.isLead
    ? el('div', { class: 'message-head' }, name, when)
    : el('span', { class: 'visually-hidden' }, `${row.isOwn ? 'You' : row.user.name}: `);
  return el('li', { class: 'message', 'data-lead': row.isLead, 'data-own': row.isOwn },
    row.isLead && !row.isOwn && avatar(row.user),
    el('div', { class: 'message-main' }, head,
      el('div', { class: 'bubble', title: row.isLead ? undefined : fullTime(row.date), dir: 'auto' }, row.content),
      el('div', { class: 'message-status' })));
}

/** @param {HTMLElement} status @param {MessageRow} row @param {boolean} isLive */
function drawStatus(status, row, isLive) {
  if (row.state === 'failed') {
    status.replaceChildren(
      el('span', { class: 'message-problem' }, row.problem ? `Not sent: ${row.problem}` : 'Not sent'),
      ...DOES.map((does) => el('button', { type: 'button', class: 'link-button', 'data-does': does, 'data-draft': row.draft ?? '' }, WORDS[does])));
    return;
  }
  text(status, row.state === 'logged' || row.state === 'kept' ? '' : isLive ? 'Sending…' : 'Waiting for the connection…');
}

/** @param {PresenceRow} row */
function presenceSentence({ came, went }) {
  const part = (/** @type {{ name: string }[]} */ users, /** @type {string} */ verb) => (users.length > 0 ? [`${names(users.map((user) => user.name))} ${verb}`] : []);
  return [...part(came, 'joined'), ...part(went, 'left')].join(' · ');
}

/** @param {ChangedRow} row */
function changedSentence({ user, info }) {
  if (info.archived) return `${user.name} archived the room`;
  return `${user.name} changed the room: ${info.title}${info.topic === '' ? '' : ` · ${info.topic}`}`;
}
