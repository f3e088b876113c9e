import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from './support/modules.mjs';

const { asked, delay } = await load('backoff.js');

test('delays_grow_and_are_bounded', () => {
  assert.ok(delay(0, 1) <= 500 && delay(3, 1) > delay(2, 1));
  assert.equal(delay(1_000, 1), 15_000);
});

test('delays_are_spread_and_never_nothing', () => {
  assert.ok(delay(0, 0) > 0);
  assert.ok(delay(6, 0.1) < delay(6, 0.9) / 5);
});

test('a_server_is_never_asked_again_before_it_said_p11', () => {
  for (const random of [0, 0.5, 1]) assert.ok(asked(1_000, random) >= 1_000 && asked(1_000, random) <= 1_250);
});
