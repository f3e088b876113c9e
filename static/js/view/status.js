// @ts-check
/**
 * How the connection is, in words.
 *
 * Owns the banner and the mark beside one's name. Promises that a page which is not live says so, and what happens next.
 * Never says anything while all is well, nor before a first connection has had a moment to come.
 */

import { gaps, shown } from '../state.js';
import { attribute, byId, text } from './dom.js';

/** @import { Intents } from './app.js' */
/** @import { State } from '../state.js' */

/** How long a first connection, or a quick return, may take before it is spoken of. */
const MOMENT_MS = 700;
const NOTE_MS = 8_000;

/** Why a timeline was started anew, for a person. @type {Map<string, string>} */
const RELOADED = new Map([
  ['TOO_FAR', 'You were away for long, so the conversation was loaded anew. Scroll up for what you missed.'],
  ['OTHER_LOG', 'This room was restored from an older copy, so the conversation was loaded anew.'],
  ['AHEAD', 'This room was restored from an older copy, so the conversation was loaded anew.'],
]);

/**
 * @param {Document} document
 * @param {Intents} intents
 */
export function status(document, intents) {
  const banner = byId(document, 'banner', HTMLElement);
  const words = byId(document, 'banner-text', HTMLElement);
  const countdown = byId(document, 'banner-countdown', HTMLElement);
  const button = byId(document, 'banner-button', HTMLButtonElement);
  const mark = byId(document, 'me-state', HTMLElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let awaySince = 0;
  let note = { sentence: '', until: 0 };
  button.addEventListener('click', intents.reconnect);

  const draw = (/** @type {State} */ state) => {
    clearTimeout(timer);
    const { phase, isLeaving } = state.link;
    const now = Date.now();
    const isLive = phase === 'live' || (phase === 'idle' && state.me.wantsName);
    awaySince = isLive ? 0 : awaySince || now;
    const room = shown(state);
    if (room?.reloaded) {
      note = { sentence: RELOADED.get(room.reloaded) ?? 'The conversation was loaded anew.', until: now + NOTE_MS };
      queueMicrotask(() => intents.dispatch({ type: 'told', room: room.name }));
    }
    const isQuiet = !isLive && phase !== 'ended' && now - awaySince < MOMENT_MS;
    const sentence = isQuiet ? '' : isLive ? (note.until > now ? note.sentence : '') : sentenceOf(state);
    const seconds = phase === 'waiting' ? Math.ceil((state.link.retryAt - now) / 1_000) : 0;
    text(words, sentence);
    // Apart from the sentence, which would be read aloud anew each second.
    text(countdown, sentence !== '' && seconds > 0 ? `${seconds} s` : '');
    attribute(banner, 'data-shown', sentence !== '');
    attribute(banner, 'data-is', isLive ? 'note' : phase);
    button.hidden = phase !== 'waiting' && phase !== 'ended' && (phase !== 'idle' || isLive);
    const isWell = isLive && !isLeaving;
    attribute(mark, 'data-is', isWell ? 'live' : phase === 'ended' ? 'ended' : 'away');
    attribute(document.documentElement, 'data-link', isLive ? 'live' : phase);
    // For whoever looks into a page that is said to be wrong, and for tests.
    const { found, open } = gaps(state);
    attribute(document.documentElement, 'data-gaps-found', found > 0 && found);
    attribute(document.documentElement, 'data-gaps-open', open > 0 && open);
    attribute(document.documentElement, 'data-frames-unknown', state.unknown > 0 && state.unknown);
    const wait = isQuiet ? awaySince + MOMENT_MS - now : phase === 'waiting' ? 1_000 : note.until > now ? note.until - now : null;
    if (wait !== null) timer = setTimeout(() => draw(state), wait + 1);
  };
  return draw;
}

/** @param {State} state */
function sentenceOf(state) {
  const { phase, reason, wasLive } = state.link;
  if (phase === 'ended' || phase === 'idle') return reason ?? 'The connection was ended.';
  if (phase !== 'waiting') return wasLive ? 'Connecting again…' : 'Connecting…';
  const what = !navigator.onLine ? 'You are offline.' : wasLive ? 'The connection was lost.' : 'The server cannot be reached.';
  return `${what} Trying again…`;
}
