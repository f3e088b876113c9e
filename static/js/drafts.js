// @ts-check
/**
 * Drafts that outlive the page, and whose turn it is to send them.
 *
 * Owns which page of this browser has which draft: the one that wrote it, for as long as it lives, and then the one that
 * inherits. A page proves that it lives by a lock that the browser takes from it when it ends, however that happens;
 * whoever waits for that lock is the heir. Promises that no two pages have one draft, that none is without a page for
 * longer than it takes another to look, and that a browser which keeps nothing costs the memory and nothing else. Never
 * sends anything and never decides what a draft has become.
 */

import { changes, MOST_DRAFTS } from './outbox.js';

/** @import { Kept } from './outbox.js' */
/** @import { Owned } from './database.js' */

const LOCK = 'parlour.page.';
/** A database that hangs must not keep messages from being sent. */
const PATIENCE_MS = 3_000;

/**
 * @typedef {object} Store
 * @property {() => Promise<string[]>} owners
 * @property {(from: string, to: string, most: number) => Promise<Kept[]>} claim
 * @property {(put: Owned[], remove: string[]) => Promise<void>} change
 *
 * @typedef {object} Surroundings
 * @property {string} page this page's name, which no other has
 * @property {() => Promise<Store>} open
 * @property {Pick<LockManager, 'request'> | undefined} locks
 * @property {(drafts: Kept[]) => void} restored drafts that are this page's from now on; at the start called once at least
 * @property {() => void} unkept what waits does not outlive the page
 */

export class Drafts {
  /** @type {Store | null} */
  #store = null;
  /** What this page has to keep, and what of it the store was told. @type {Kept[]} */
  #wanted = [];
  /** @type {Kept[]} */
  #kept = [];
  /** The pages whose end is waited for. @type {Set<string>} */
  #awaited = new Set();
  #surroundings;

  /** @param {Surroundings} surroundings */
  constructor(surroundings) {
    this.#surroundings = surroundings;
  }

  /** Opens the store and takes over what earlier pages left. */
  async start() {
    const { open, restored, unkept } = this.#surroundings;
    /** @type {Kept[]} */
    let drafts = [];
    const patience = setTimeout(() => restored([]), PATIENCE_MS);
    try {
      const store = await open();
      await this.#live();
      this.#store = store;
      this.keep(this.#wanted);
      drafts = await this.#inherit(store);
    } catch {
      unkept();
    }
    clearTimeout(patience);
    this.#take(drafts);
  }

  /**
   * What is to outlive the page from now on.
   * @param {Kept[]} drafts
   */
  keep(drafts) {
    this.#wanted = drafts;
    if (!this.#store) return;
    const { put, remove } = changes(this.#kept, drafts);
    this.#kept = drafts;
    if (put.length + remove.length === 0) return;
    const owner = this.#surroundings.page;
    this.#store.change(put.map((draft) => ({ ...draft, owner })), remove).catch(this.#surroundings.unkept);
  }

  /** Looks whether other pages have left drafts, or may come to leave some. */
  async look() {
    if (!this.#store) return;
    const drafts = await this.#inherit(this.#store).catch(this.#surroundings.unkept);
    if (drafts && drafts.length > 0) this.#take(drafts);
  }

  /** Shows the other pages that this one lives: nothing of its is in the store before. @returns {Promise<void>} */
  #live() {
    const { locks, page } = this.#surroundings;
    return new Promise((resolve, reject) => {
      if (!locks) return reject(new Error('this browser has no locks'));
      const forLife = () => new Promise(() => resolve());
      locks.request(LOCK + page, forLife).catch(reject);
    });
  }

  /** @param {Store} store what pages that have ended left in it; those that live are waited for @returns {Promise<Kept[]>} */
  async #inherit(store) {
    /** @type {Kept[]} */
    const drafts = [];
    for (const owner of await store.owners()) {
      if (owner === this.#surroundings.page || this.#awaited.has(owner)) continue;
      const isDead = await this.#surroundings.locks?.request(LOCK + owner, { ifAvailable: true }, async (lock) => {
        if (lock) drafts.push(...(await this.#claim(store, owner)));
        return lock !== null;
      });
      if (!isDead) this.#await(store, owner);
    }
    return drafts;
  }

  /** @param {Store} store @param {string} owner a page that lives */
  #await(store, owner) {
    this.#awaited.add(owner);
    const inherit = async () => {
      this.#awaited.delete(owner);
      const drafts = await this.#claim(store, owner);
      if (drafts.length > 0) this.#take(drafts);
    };
    this.#surroundings.locks?.request(LOCK + owner, inherit).catch(this.#surroundings.unkept);
  }

  /** @param {Store} store @param {string} owner a page that has ended @returns {Promise<Kept[]>} */
  async #claim(store, owner) {
    const room = MOST_DRAFTS - this.#wanted.length;
    return room > 0 ? store.claim(owner, this.#surroundings.page, room) : [];
  }

  /**
   * They are ours from here on, also where the log turns out to have them: then the next `keep` removes them.
   * @param {Kept[]} drafts
   */
  #take(drafts) {
    this.#kept = [...this.#kept, ...drafts];
    this.#surroundings.restored(drafts);
  }
}
