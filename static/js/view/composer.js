// @ts-check
/**
 * Where one writes.
 *
 * Owns the text being written, one a room, and when others are told that one is typing: at most once a second, and once
 * when it stops. Promises that a text is not lost by going to another room or by taking back what failed, and that what is too long is said before it
 * is sent. Never sends anything itself.
 */

import { names } from '../format.js';
import { newKey } from '../key.js';
import { isFull, shown } from '../state.js';
import { attribute, byId, text } from './dom.js';

/** @import { Intents } from './app.js' */
/** @import { State } from '../state.js' */

/** A little more than the second that the server allows: two that come closer are thinned out on the way. */
const SAY_AGAIN_MS = 1_100;
const STOPPED_MS = 3_000;
/** From here on, what is left is shown. */
const NEARLY_FULL = 200;
const CROWDED = 'Too many messages are waiting to be sent. What you write here can be sent once some of them are.';
const FLEETING = 'This browser cannot keep what waits to be sent: it is lost if you close this page.';

/**
 * @param {Document} document
 * @param {Intents} intents
 */
export function composer(document, intents) {
  const form = byId(document, 'composer', HTMLFormElement);
  const field = byId(document, 'composer-text', HTMLTextAreaElement);
  const button = byId(document, 'composer-send', HTMLButtonElement);
  const note = byId(document, 'composer-note', HTMLElement);
  const typists = byId(document, 'typists', HTMLElement);
  const typing = typingNotes(intents);
  /** @type {Map<string, string>} */
  const texts = new Map();
  let room = '';
  let most = 0;
  let isCrowded = false;
  let isFleeting = false;
  /** Texts taken back already. @type {WeakSet<{ content: string }>} */
  const recalled = new WeakSet();

  const left = () => most - [...field.value].length;
  const isReady = () => !field.disabled && field.value.trim() !== '' && left() >= 0 && !isCrowded;
  const measure = () => {
    field.style.setProperty('block-size', 'auto');
    field.style.setProperty('block-size', `${field.scrollHeight}px`);
    attribute(button, 'aria-disabled', isReady() ? undefined : 'true');
    const count = left();
    text(note, count < 0 ? `${-count} characters too long` : isCrowded ? CROWDED : count < NEARLY_FULL ? `${count} characters left` : isFleeting ? FLEETING : '');
    attribute(field, 'aria-invalid', count < 0 ? 'true' : undefined);
  };
  const submit = () => {
    if (!isReady()) return;
    typing.sent();
    intents.dispatch({ type: 'write', room, key: newKey(), content: field.value });
    field.value = '';
    measure();
  };
  const recall = (/** @type {{ content: string } | null} */ draft) => {
    if (!draft || recalled.has(draft)) return;
    recalled.add(draft);
    field.value = [draft.content, field.value].filter((text) => text !== '').join('\n');
    field.focus();
  };
  field.addEventListener('input', () => {
    measure();
    typing.typed(room, field.value.trim() !== '');
  });
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
    field.focus();
  });

  return (/** @type {State} */ state) => {
    const next = shown(state);
    text(typists, next ? typingSentence([...next.typists.values()].map(({ user }) => user.name)) : '');
    if (!next) return typing.stopped();
    if (next.name !== room) {
      typing.stopped();
      texts.set(room, field.value);
      field.value = texts.get(next.name) ?? '';
      room = next.name;
    }
    most = state.limits.content_chars;
    isCrowded = isFull(state);
    isFleeting = !state.isKept && state.link.phase !== 'live' && next.outbox.length > 0;
    const isClosed = next.refused !== null || next.info?.archived === true;
    if (field.disabled !== isClosed) field.disabled = isClosed;
    form.hidden = next.refused !== null;
    recall(next.recalled);
    attribute(field, 'placeholder', isClosed ? 'This room is archived' : `Message ${next.info?.title ?? next.name}`);
    measure();
  };
}

/** @param {string[]} people */
function typingSentence(people) {
  return people.length === 0 ? '' : `${names(people)} ${people.length === 1 ? 'is' : 'are'} typing…`;
}

/**
 * When others are told.
 * @param {Intents} intents
 */
function typingNotes(intents) {
  let room = '';
  let saidAt = -Infinity;
  let isSaid = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let end;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let again;
  const quiet = () => {
    clearTimeout(end);
    clearTimeout(again);
    again = undefined;
  };
  const stopped = () => {
    quiet();
    if (isSaid) intents.typing(room, false);
    isSaid = false;
  };
  const say = () => {
    again = undefined;
    saidAt = performance.now();
    isSaid = true;
    intents.typing(room, true);
  };
  return {
    /** @param {string} where @param {boolean} isText */
    typed(where, isText) {
      if (where !== room || !isText) stopped();
      room = where;
      if (!isText) return;
      clearTimeout(end);
      end = setTimeout(stopped, STOPPED_MS);
      // Within a second of the last time it is said when that second is over: a few quick keys must not go unsaid.
      again ??= setTimeout(say, Math.max(0, saidAt + SAY_AGAIN_MS - performance.now()));
    },
    /** The message itself says that one has stopped. */
    sent() {
      quiet();
      isSaid = false;
    },
    stopped,
  };
}
