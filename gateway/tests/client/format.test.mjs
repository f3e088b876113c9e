import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from './support/modules.mjs';

const format = await load('format.js');
const { parse } = await load('router.js');
const { parseSeen } = await load('storage.js');

test('a_moment_is_later_by_its_last_digit', () => {
  assert.ok(format.isLater('2026-11-24T12:00:00.000002Z', '2026-11-24T12:00:00.000001Z'));
  assert.ok(format.isLater('2026-11-24T12:00:00.1Z', '2026-11-24T12:00:00Z'));
  assert.ok(!format.isLater('2026-11-24T12:00:00Z', '2026-11-24T12:00:00.000Z'));
  assert.ok(format.isLater('2026-11-24T12:00:00Z', null));
});

test('days_are_named_from_today_on', () => {
  const now = new Date(2026, 10, 24, 0, 5);
  assert.equal(format.day(new Date(2026, 10, 24, 0, 1), now), 'Today');
  assert.equal(format.day(new Date(2026, 10, 23, 23, 59), now), 'Yesterday');
  assert.match(format.day(new Date(2026, 10, 20, 12), now), /20/);
  assert.match(format.day(new Date(2024, 1, 29, 12), now), /2024/);
});

test('initials_stand_for_any_name', () => {
  assert.deepEqual(['Ada Lovelace', 'bob', '李 明', '🦊', ' '].map(format.initials), ['AL', 'B', '李明', '?', '?']);
});

test('a_hue_is_the_same_for_an_id', () => {
  assert.equal(format.hue('guest_a'), format.hue('guest_a'));
  assert.ok(new Set(['a', 'b', 'c', 'd', 'e'].map(format.hue)).size > 2);
});

test('a_title_becomes_a_room_name', () => {
  assert.deepEqual(['Book Club!', ' Élan vital ', '***', 'x'.repeat(90)].map(format.slug), ['book-club', 'elan-vital', '', 'x'.repeat(64)]);
});

test('a_name_the_server_would_refuse_is_refused_here', () => {
  for (const name of ['', '  ', 'a<b', 'a&b', '"', 'a\u0000', 'x'.repeat(65)]) assert.notEqual(format.problemWithName(name), null);
  for (const name of ['Ada', '🦊'.repeat(64), "O'Neill"]) assert.equal(format.problemWithName(name), null);
});

test('addresses_are_pages_or_lost', () => {
  assert.deepEqual(parse('/room/book-club'), { page: 'room', room: 'book-club' });
  assert.deepEqual(parse('/'), { page: 'rooms' });
  for (const path of ['/room/', '/room/A B', '/room/%', '/room/a/b', '/nothing']) assert.deepEqual(parse(path), { page: 'lost' });
});

test('what_storage_holds_is_checked', () => {
  assert.deepEqual([...parseSeen('[["general",4],["x","y"],7]')], [['general', 4]]);
  for (const text of [null, '{', '{}', '7']) assert.equal(parseSeen(text).size, 0);
});
