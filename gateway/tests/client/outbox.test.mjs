import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from './support/modules.mjs';

const outbox = await load('outbox.js');

const refusal = (code, retryAfterMs = null) => ({ is: 'error', id: '', code, message: 'No.', field: null, retryAfterMs });
const two = () => outbox.written(outbox.written([], 'a', 'first', 0), 'b', 'second', 0);

test('one_is_in_flight_a_room_and_the_next_follows_its_answer_p5', () => {
  let drafts = two();
  assert.equal(outbox.next(drafts, 0).key, 'a');
  drafts = outbox.sent(drafts, 'a');
  assert.equal(outbox.next(drafts, 0), null);
  assert.equal(outbox.next(outbox.kept(drafts, 'a'), 0).key, 'b');
});

test('a_draft_that_has_to_wait_is_not_overtaken_p5', () => {
  const drafts = outbox.refused(outbox.sent(two(), 'a'), 'a', refusal('RATE_LIMITED', 1_000), 0, 0);
  assert.equal(outbox.next(drafts, 999), null);
  assert.equal(outbox.dueAt(drafts), 1_000);
  assert.equal(outbox.next(drafts, 1_000).key, 'a');
});

test('a_broken_link_sends_it_again_with_its_key_p5', () => {
  const drafts = outbox.unanswered(outbox.sent(two(), 'a'));
  assert.deepEqual([outbox.next(drafts, 0).key, outbox.next(drafts, 0).content], ['a', 'first']);
});

test('a_refusal_for_good_lets_the_next_go_and_can_be_retried_or_discarded_p11', () => {
  const drafts = outbox.refused(outbox.sent(two(), 'a'), 'a', refusal('INVALID_CONTENT'), 0, 0);
  assert.deepEqual([drafts[0].state, drafts[0].problem, outbox.next(drafts, 0).key], ['failed', 'No.', 'b']);
  assert.deepEqual(outbox.retried(drafts, 'a').map(({ key, state }) => [key, state]), [['b', 'waiting'], ['a', 'waiting']]);
  assert.deepEqual(outbox.without(drafts, 'a').map(({ key }) => key), ['b']);
});

test('drafts_are_bounded_p8', () => {
  let drafts = [];
  for (let number = 0; number < 200; number += 1) drafts = outbox.written(drafts, String(number), 'x', 0);
  assert.equal(drafts.length, outbox.MOST_DRAFTS);
});
