// @ts-check
/**
 * Drafts in IndexedDB.
 *
 * Owns the database and its one store of records. Promises that a change is made whole or not at all, that two pages
 * never both claim a record, and that what it reads back is checked. Never knows which page is alive: it is told.
 */

/** @import { Kept } from './outbox.js' */

/** A draft, and the page whose turn it is to send it. @typedef {Kept & { owner: string }} Owned */

const NAME = 'parlour';
const STORE = 'drafts';
const OWNER = 'owner';

/**
 * Opens it, and makes it where there is none.
 * @returns {Promise<Database>}
 */
export function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'key' }).createIndex(OWNER, OWNER);
    request.onsuccess = () => resolve(new Database(request.result));
    request.onerror = () => reject(request.error);
  });
}

export class Database {
  #database;

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.#database = database;
    // A newer page wants to change the store, or the browser is asked to forget it: do not stand in the way.
    database.onversionchange = () => database.close();
  }

  /** The pages that have drafts here. @returns {Promise<string[]>} */
  async owners() {
    /** @type {Set<string>} */
    const owners = new Set();
    await this.#change('readonly', (store) => each(store.index(OWNER).openKeyCursor(null, 'nextunique'), (cursor) => {
      owners.add(String(cursor.key));
      cursor.continue();
    }));
    return [...owners];
  }

  /**
   * Makes drafts of one page those of another: the earliest, and no more than so many.
   * @param {string} from
   * @param {string} to
   * @param {number} most
   * @returns {Promise<Kept[]>} what was claimed, in the order it was written
   */
  async claim(from, to, most) {
    /** @type {Owned[]} */
    let claimed = [];
    await this.#change('readwrite', (store) => {
      const request = store.index(OWNER).getAll(from);
      request.onsuccess = () => {
        claimed = request.result.filter(isOwned).sort((a, b) => a.at - b.at).slice(0, most);
        for (const draft of claimed) store.put({ ...draft, owner: to });
      };
    });
    return claimed;
  }

  /**
   * @param {Owned[]} put
   * @param {string[]} remove their keys
   */
  async change(put, remove) {
    await this.#change('readwrite', (store) => {
      for (const draft of put) store.put(draft);
      for (const key of remove) store.delete(key);
    });
  }

  /**
   * A transaction: done when it is committed.
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => void} act
   * @returns {Promise<void>}
   */
  #change(mode, act) {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(STORE, mode);
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('the browser gave the transaction up'));
      act(transaction.objectStore(STORE));
    });
  }
}

/** @param {IDBRequest<IDBCursor | null>} request @param {(cursor: IDBCursor) => void} visit */
function each(request, visit) {
  request.onsuccess = () => request.result && visit(request.result);
}

/** @param {unknown} value @returns {value is Owned} */
function isOwned(value) {
  const { key, room, content, author, at, problem } = /** @type {{ [field: string]: unknown }} */ (value);
  return [key, room, content, author].every((field) => typeof field === 'string') && Number.isFinite(at) && (problem === null || typeof problem === 'string');
}
