import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { dice, load } from './support/modules.mjs';

const { Drafts } = await load('drafts.js');
const { MOST_DRAFTS } = await load('outbox.js');

const kept = (key, at = 1) => ({ key, room: 'general', content: key, author: 'me', at, problem: null });
const keys = (drafts) => drafts.map(({ key }) => key).sort();
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** What the pages of one browser share: the store, and the locks of those that live. */
class Browser {
  records = new Map();
  #holders = new Map();
  #queues = new Map();
  pages = [];

  store() {
    return {
      owners: async () => [...new Set([...this.records.values()].map(({ owner }) => owner))],
      claim: async (from, to, most) => {
        const claimed = [...this.records.values()].filter(({ owner }) => owner === from).sort((a, b) => a.at - b.at).slice(0, most);
        for (const draft of claimed) this.records.set(draft.key, { ...draft, owner: to });
        return claimed.map(({ owner: _, ...draft }) => draft);
      },
      change: async (put, remove) => {
        for (const draft of put) this.records.set(draft.key, draft);
        for (const key of remove) this.records.delete(key);
      },
    };
  }

  /** The locks as a page has them: what it holds or waits for ends with it. */
  locks(page) {
    const grant = async (name, act) => {
      this.#holders.set(name, page);
      const answer = await act({ name });
      if (this.#holders.get(name) === page) this.#free(name);
      return answer;
    };
    return {
      request: async (name, options, act = options) => {
        if (!this.#holders.has(name)) return grant(name, act);
        if (options.ifAvailable) return act(null);
        return new Promise((resolve) => {
          const queue = this.#queues.get(name) ?? [];
          this.#queues.set(name, [...queue, { page, go: () => resolve(grant(name, act)) }]);
        });
      },
    };
  }

  #free(name) {
    this.#holders.delete(name);
    const [next, ...rest] = (this.#queues.get(name) ?? []).filter(({ page }) => page.isAlive);
    this.#queues.set(name, rest);
    next?.go();
  }

  opens(name, change = {}) {
    const page = { name, isAlive: true, has: [], unkept: 0, starts: 0 };
    page.writes = (key, at) => page.drafts.keep((page.has = [...page.has, kept(key, at)]));
    page.loses = (key) => page.drafts.keep((page.has = page.has.filter((draft) => draft.key !== key)));
    const restored = (drafts) => {
      if (!page.isAlive) return;
      page.starts += 1;
      page.drafts.keep((page.has = [...page.has, ...drafts]));
    };
    page.drafts = new Drafts({ page: name, open: async () => this.store(), locks: this.locks(page), restored, unkept: () => { page.unkept += 1; }, ...change });
    page.started = page.drafts.start();
    this.pages.push(page);
    return page;
  }

  closes(page) {
    page.isAlive = false;
    this.pages = this.pages.filter((other) => other !== page);
    for (const [name, holder] of this.#holders) if (holder === page) this.#free(name);
  }
}

test('a_reload_brings_back_what_was_waiting_and_nothing_else', async () => {
  const browser = new Browser();
  const first = browser.opens('first');
  first.writes('before there is a store');
  await first.started;
  first.writes('a', 2);
  first.writes('b', 3);
  first.loses('a');
  await settled();
  browser.closes(first);
  const second = browser.opens('second');
  await second.started;
  assert.deepEqual(keys(second.has), ['b', 'before there is a store']);
  assert.deepEqual([...browser.records.values()].map(({ owner }) => owner), ['second', 'second']);
});

test('a_page_that_lives_keeps_its_drafts_and_one_that_ends_is_inherited_once', async () => {
  const browser = new Browser();
  const first = browser.opens('first');
  await first.started;
  first.writes('a');
  await settled();
  const others = ['second', 'third'].map((name) => browser.opens(name));
  await Promise.all(others.map(({ started }) => started));
  assert.deepEqual(others.map(({ has }) => has), [[], []]);
  browser.closes(first);
  await settled();
  assert.deepEqual(others.flatMap(({ has }) => keys(has)), ['a']);
});

test('whatever_pages_come_and_go_each_draft_is_with_one_of_them_p5', async () => {
  for (let seed = 1; seed <= 100; seed += 1) {
    const roll = dice(seed);
    const browser = new Browser();
    const written = new Set();
    for (let turn = 0; turn < 40; turn += 1) {
      const page = browser.pages[Math.floor(roll() * browser.pages.length)];
      const what = roll();
      if (!page || what < 0.25) browser.opens(`page ${turn}`);
      else if (what < 0.6) written.add(`d${turn}`) && page.writes(`d${turn}`, turn);
      else if (what < 0.7 && page.has.length > 0) { written.delete(page.has[0].key); page.loses(page.has[0].key); await settled(); }
      else if (what < 0.85) page.drafts.look();
      // A page that ends before its store has taken what was written has lost it: no page can promise more.
      else { await page.started; await settled(); browser.closes(page); }
      if (roll() < 0.5) await settled();
    }
    const last = browser.opens('last');
    await last.started;
    for (const page of browser.pages) await page.drafts.look();
    await settled();
    const all = browser.pages.flatMap(({ has }) => keys(has)).sort();
    assert.deepEqual(all, [...written].sort(), `seed ${seed}`);
    for (const page of browser.pages) for (const { key } of page.has) assert.equal(browser.records.get(key)?.owner, page.name, `seed ${seed}`);
  }
});

test('what_is_inherited_is_bounded_and_the_rest_waits_p8', async () => {
  const browser = new Browser();
  for (let number = 0; number < MOST_DRAFTS + 20; number += 1) browser.records.set(String(number), { ...kept(String(number), number), owner: 'long gone' });
  const page = browser.opens('page');
  await page.started;
  assert.equal(page.has.length, MOST_DRAFTS);
  for (let number = 0; number < 30; number += 1) page.loses(String(number));
  await page.drafts.look();
  assert.deepEqual([page.has.length, browser.records.size], [MOST_DRAFTS - 10, MOST_DRAFTS - 10]);
});

test('a_browser_that_keeps_nothing_says_so_and_goes_on', async () => {
  const forbids = async () => { throw new Error('forbidden'); };
  for (const change of [{ open: forbids }, { locks: undefined }]) {
    const page = new Browser().opens('page', change);
    page.writes('a');
    await page.started;
    assert.deepEqual([page.unkept, page.starts, keys(page.has)], [1, 1, ['a']]);
  }
  const browser = new Browser();
  const page = browser.opens('page', { open: async () => ({ ...browser.store(), change: forbids }) });
  await page.started;
  page.writes('a');
  await settled();
  assert.equal(page.unkept, 1);
});

test('a_store_that_hangs_does_not_keep_messages_from_being_sent', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const page = new Browser().opens('page', { open: () => new Promise(() => {}) });
  assert.equal(page.starts, 0);
  mock.timers.tick(3_000);
  assert.equal(page.starts, 1);
  mock.timers.reset();
});
