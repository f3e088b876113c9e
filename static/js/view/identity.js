// @ts-check
/**
 * Who one is: a name, chosen once and changeable.
 *
 * Owns the dialog that asks for it and the button that shows it. Promises that a name the server would refuse is refused
 * here first, in the same words. Never keeps the name.
 */

import { problemWithName } from '../format.js';
import { attribute, byId, paintAvatar, text } from './dom.js';

/** @import { Intents } from './app.js' */
/** @import { State } from '../state.js' */

/**
 * @param {Document} document
 * @param {Intents} intents
 */
export function identity(document, intents) {
  const dialog = byId(document, 'identity', HTMLDialogElement);
  const form = byId(document, 'identity-form', HTMLFormElement);
  const field = byId(document, 'identity-name', HTMLInputElement);
  const problem = byId(document, 'identity-problem', HTMLElement);
  const cancel = byId(document, 'identity-cancel', HTMLButtonElement);
  const heading = byId(document, 'identity-title', HTMLElement);
  const chip = byId(document, 'me', HTMLButtonElement);
  const disc = byId(document, 'me-avatar', HTMLElement);
  const name = byId(document, 'me-name', HTMLElement);
  let isNamed = false;

  const say = (/** @type {string} */ sentence) => {
    text(problem, sentence);
    problem.hidden = sentence === '';
    attribute(field, 'aria-invalid', sentence === '' ? undefined : 'true');
  };
  chip.addEventListener('click', () => intents.dispatch({ type: 'ask-name', isOpen: true }));
  cancel.addEventListener('click', () => intents.dispatch({ type: 'ask-name', isOpen: false }));
  dialog.addEventListener('cancel', (event) => {
    event.preventDefault();
    if (isNamed) intents.dispatch({ type: 'ask-name', isOpen: false });
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const chosen = field.value.trim();
    const sentence = problemWithName(chosen);
    say(sentence ?? '');
    if (sentence === null) intents.choose(chosen);
    else field.focus();
  });

  return (/** @type {State} */ state) => {
    const { me } = state;
    isNamed = me.name !== '' && me.problem === null;
    chip.hidden = me.name === '';
    text(name, me.name);
    paintAvatar(disc, { id: me.id, name: me.name });
    if (me.wantsName && !dialog.open) {
      text(heading, isNamed ? 'Change your name' : 'Welcome to Parlour');
      cancel.hidden = !isNamed;
      field.value = me.name;
      say(me.problem ?? '');
      dialog.showModal();
      field.select();
    } else if (!me.wantsName && dialog.open) {
      dialog.close();
    }
  };
}
