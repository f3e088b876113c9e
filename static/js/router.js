// @ts-check
/**
 * Which page an address is.
 *
 * Owns the addresses of pages. Promises that every link also works as a plain load. Never fetches anything.
 */

/** @import { Route } from './state.js' */

const NAME = /^[a-z0-9_-]{1,64}$/;
const ID = /^R[A-Z2-7]{26}$/;

/**
 * @param {string} path
 * @returns {Route}
 */
export function parse(path) {
  if (path === '/' || /^\/rooms\/?$/.test(path)) return { page: 'rooms' };
  const room = /^\/room\/([^/]+)\/?$/.exec(path)?.[1];
  if (room === undefined) return { page: 'lost' };
  const name = decoded(room);
  return NAME.test(name) || ID.test(name) ? { page: 'room', room: name } : { page: 'lost' };
}

/**
 * Whether a room was named by its id: its address then becomes the one with its name.
 * @param {string} room
 */
export function isId(room) {
  return ID.test(room);
}

/** @param {string} room */
export function hrefOfRoom(room) {
  return `/room/${encodeURIComponent(room)}`;
}

/**
 * Hands on clicks on links within the page, and goes back and forth.
 * @param {(route: Route) => void} navigate
 */
export function watch(navigate) {
  addEventListener('popstate', () => navigate(parse(location.pathname)));
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !isPlain || event.defaultPrevented || link.target !== '' || link.origin !== location.origin) return;
    const route = parse(link.pathname);
    if (route.page === 'lost' || link.hash !== '') return;
    event.preventDefault();
    if (link.pathname !== location.pathname) history.pushState(null, '', link.pathname);
    navigate(route);
  });
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return ''; // a stray percent sign: no room has such a name
  }
}
