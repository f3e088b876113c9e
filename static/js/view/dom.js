// @ts-check
/**
 * Making and keeping elements.
 *
 * Owns the few ways in which views touch the document. Promises that text is only ever text: no markup is parsed and no
 * attribute that runs is set. Never keeps state.
 */

import { hue, initials } from '../format.js';

/** @typedef {string | Node | null | undefined | false} Child */

/**
 * An element with attributes and children; strings become text.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {{ [name: string]: string | boolean | number | undefined }} attributes
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) attribute(element, name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * Sets an attribute where it differs; `false` and `undefined` take it away, `true` leaves it empty.
 * @param {Element} element
 * @param {string} name
 * @param {string | boolean | number | undefined} value
 */
export function attribute(element, name, value) {
  if (value === false || value === undefined) return element.removeAttribute(name);
  const text = value === true ? '' : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/**
 * Sets the text where it differs, so that what is read aloud is only what has changed.
 * @param {Element} element
 * @param {string} text
 */
export function text(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * The element of the page with an id, which the page's markup has.
 * @template {HTMLElement} T
 * @param {Document} document
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(document, id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * Makes the children of a parent those of the keys, in order, keeping the elements that are there already.
 * @template {{ key: string }} R
 * @param {HTMLElement} parent
 * @param {Map<string, { node: HTMLElement, row: R }>} kept
 * @param {R[]} rows
 * @param {(row: R, node: HTMLElement | null, before: R | null) => HTMLElement} draw makes an element, or changes the given one
 */
export function keyed(parent, kept, rows, draw) {
  const keys = new Set(rows.map((row) => row.key));
  for (const [key, { node }] of kept) {
    if (keys.has(key)) continue;
    node.remove();
    kept.delete(key);
  }
  let place = parent.firstElementChild;
  for (const row of rows) {
    const known = kept.get(row.key);
    const node = draw(row, known?.node ?? null, known?.row ?? null);
    if (known && known.node !== node) {
      if (place === known.node) place = node;
      known.node.replaceWith(node);
    }
    kept.set(row.key, { node, row });
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
}

/**
 * A coloured disc with initials; decoration, since the name stands beside it.
 * @param {{ id: string, name: string }} user
 */
export function avatar(user) {
  const disc = el('span', { class: 'avatar', 'aria-hidden': 'true' });
  paintAvatar(disc, user);
  return disc;
}

/** @param {HTMLElement} disc @param {{ id: string, name: string }} user */
export function paintAvatar(disc, user) {
  text(disc, initials(user.name));
  disc.style.setProperty('--hue', String(hue(user.id)));
}
