import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ADA, BOB } from './support/log.mjs';
import { load } from './support/modules.mjs';

const { fold, nobody, snapshot, stillTyping, typed, TYPING_MS } = await load('presence.js');

const diff = (change) => ({ is: 'presence', snapshot: false, users: [], joined: [], left: [], changed: [], count: 0, ...change });
const names = ({ users }) => [...users.values()].map(({ name }) => name);

test('diffs_fold_to_what_a_snapshot_says_p7', () => {
  let presence = snapshot([ADA], 1);
  presence = fold(presence, diff({ joined: [BOB], count: 2 })).presence;
  presence = fold(presence, diff({ changed: [{ ...BOB, name: 'Robert' }], count: 2 })).presence;
  assert.deepEqual(names(presence), ['Ada', 'Robert']);
  presence = fold(presence, diff({ left: [ADA], count: 1 })).presence;
  assert.deepEqual(presence, snapshot([{ ...BOB, name: 'Robert' }], 1));
});

test('a_snapshot_replaces_all_and_is_no_news', () => {
  const { presence, came, went } = fold(snapshot([ADA], 1), diff({ snapshot: true, users: [BOB], count: 1 }));
  assert.deepEqual([names(presence), came, went], [['Bob'], [], []]);
});

test('a_diff_heard_twice_changes_nothing_and_is_news_once', () => {
  const once = fold(nobody(), diff({ joined: [ADA], count: 1 }));
  const twice = fold(once.presence, diff({ joined: [ADA], count: 1 }));
  assert.deepEqual([once.came, twice.came, twice.presence], [[ADA], [], once.presence]);
  assert.deepEqual(fold(nobody(), diff({ left: [ADA] })).went, []);
});

test('the_count_is_the_servers_where_names_are_left_out', () => {
  assert.equal(fold(snapshot([ADA], 1_500), diff({ count: 1_501 })).presence.count, 1_501);
});

test('typing_lapses_by_itself_p9', () => {
  const typists = typed(new Map(), ADA, true, 1_000);
  assert.equal(stillTyping(typists, 1_000 + TYPING_MS - 1), typists);
  assert.equal(stillTyping(typists, 1_000 + TYPING_MS).size, 0);
  assert.equal(typed(typists, ADA, false, 1_500).size, 0);
});

test('the_list_of_typists_is_bounded_p8', () => {
  let typists = new Map();
  for (let number = 0; number < 500; number += 1) typists = typed(typists, { ...ADA, id: `guest_${number}` }, true, 0);
  assert.equal(typists.size, 50);
});
