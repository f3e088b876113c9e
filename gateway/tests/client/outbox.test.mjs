import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from './support/modules.mjs';

const outbox = await load('outbox.js');

const refusal = (code, retryAfterMs = null) => ({ is: 'error', id: '', code, message: 'No.', field: null, retryAfterMs });
const said = (key, content = key, author = 'me') => ({ key, content, author });
const two = () => outbox.written(outbox.written([], said('a', 'first'), 0), said('b', 'second'), 0);
const kept = (key, at, change = {}) => ({ key, room: 'general', content: key, author: 'me', at, problem: null, ...change });
const keys = (drafts) => drafts.map(({ key }) => key);

test('one_is_in_flight_a_room_and_the_next_follows_its_answer_p5', () => {
  let drafts = two();
  assert.equal(outbox.next(drafts, 0).key, 'a');
  drafts = outbox.sent(drafts, 'a', 'me');
  assert.equal(outbox.next(drafts, 0), null);
  assert.equal(outbox.next(outbox.kept(drafts, 'a'), 0).key, 'b');
});

test('a_draft_that_has_to_wait_is_not_overtaken_p5', () => {
  const drafts = outbox.refused(outbox.sent(two(), 'a', 'me'), 'a', refusal('RATE_LIMITED', 1_000), 0, 0);
  assert.equal(outbox.next(drafts, 999), null);
  assert.equal(outbox.dueAt(drafts), 1_000);
  assert.equal(outbox.next(drafts, 1_000).key, 'a');
});

test('delays_grow_with_each_refusal_that_names_none', () => {
  let drafts = two();
  const waits = [0, 1, 2].map(() => {
    drafts = outbox.refused(outbox.sent(drafts, 'a'), 'a', refusal('UNAVAILABLE'), 0, 1);
    return outbox.dueAt(drafts);
  });
  assert.ok(waits[0] < waits[1] && waits[1] < waits[2], String(waits));
});

test('a_broken_link_sends_it_again_with_its_key_p5', () => {
  const drafts = outbox.unanswered(outbox.sent(two(), 'a', 'me'));
  assert.deepEqual([outbox.next(drafts, 0).key, outbox.next(drafts, 0).content], ['a', 'first']);
});

test('a_refusal_for_good_lets_the_next_go_and_can_be_retried_or_discarded_p11', () => {
  const drafts = outbox.refused(outbox.sent(two(), 'a', 'me'), 'a', refusal('INVALID_CONTENT'), 0, 0);
  assert.deepEqual([drafts[0].state, drafts[0].problem, outbox.next(drafts, 0).key], ['failed', 'No.', 'b']);
  assert.deepEqual(outbox.retried(drafts, 'a', 9).map(({ key, state }) => [key, state]), [['b', 'waiting'], ['a', 'waiting']]);
  assert.deepEqual(outbox.without(drafts, 'a').map(({ key }) => key), ['b']);
});

test('drafts_of_an_earlier_page_come_back_each_to_its_place_and_once_p5', () => {
  const drafts = outbox.written(outbox.sent(outbox.written([], said('new'), 20), 'new', 'me'), said('newer'), 20);
  const all = outbox.restored(drafts, [kept('late', 15), kept('early', 10), kept('new', 20)], 'me');
  assert.deepEqual(keys(all), ['early', 'late', 'new', 'newer']);
  assert.equal(outbox.next(all, 99), null, 'one is in flight still');
  assert.equal(outbox.next(outbox.kept(all, 'new'), 99).key, 'early');
});

test('what_was_written_in_the_same_moment_keeps_its_order_p5', () => {
  let drafts = [];
  for (const key of ['c', 'a', 'b']) drafts = outbox.written(drafts, said(key), 5);
  const back = outbox.keeping('general', drafts).sort((one, other) => (one.key < other.key ? -1 : 1));
  assert.deepEqual(keys(outbox.restored([], back, 'me')), ['c', 'a', 'b']);
});

test('what_another_user_wrote_waits_for_a_person_and_what_nobody_wrote_yet_does_not_p5', () => {
  const drafts = outbox.restored([], [kept('theirs', 1, { author: 'they' }), kept('mine', 2), kept('nobodys', 3, { author: '' })], 'me');
  assert.deepEqual(drafts.map(({ state }) => state), ['failed', 'waiting', 'waiting']);
  assert.deepEqual(outbox.greeted(outbox.restored([], [kept('theirs', 1, { author: 'they' })], ''), 'me').map(({ state }) => state), ['failed']);
  const again = outbox.retried(drafts, 'theirs', 9);
  assert.deepEqual([keys(again), outbox.greeted(again, 'me') === again], [['mine', 'nobodys', 'theirs'], true]);
});

test('a_message_takes_away_the_draft_of_its_author_alone', () => {
  const drafts = two();
  const message = (id, key) => ({ user: { id }, client_message_id: key });
  assert.deepEqual(keys(outbox.shown(drafts, message('me', 'a'))), ['b']);
  assert.equal(outbox.shown(drafts, message('they', 'a')), drafts);
  assert.equal(outbox.shown(drafts, message('me', undefined)), drafts);
});

test('what_is_kept_over_a_reload_is_what_the_log_has_not_acknowledged_p6', () => {
  let drafts = outbox.written(two(), said('c'), 0);
  const first = outbox.keeping('general', drafts);
  drafts = outbox.kept(outbox.refused(drafts, 'b', refusal('INVALID_CONTENT'), 0, 0), 'a');
  const second = outbox.keeping('general', drafts);
  const { put, remove } = outbox.changes(first, second);
  assert.deepEqual([keys(put), put[0].problem, remove], [['b'], 'No.', ['a']]);
  assert.deepEqual(outbox.changes(second, second), { put: [], remove: [] });
  assert.deepEqual(outbox.restored([], second, 'me').map(({ key, state, problem }) => [key, state, problem]), [['b', 'failed', 'No.'], ['c', 'waiting', null]]);
});

test('a_room_that_is_closed_fails_what_waits_p11', () => {
  assert.deepEqual(outbox.shut(two(), 'Closed.').map(({ state, problem }) => [state, problem]), [['failed', 'Closed.'], ['failed', 'Closed.']]);
});
