import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ADA, Log, welcome } from './support/log.mjs';
import { dice, load } from './support/modules.mjs';

const { decode, encode, isRetryable, parseCursor } = await load('frames.js');

test('fields_that_are_undefined_are_not_said', () => {
  assert.equal(encode({ type: 'join', room: 'general', cursor: undefined }), '{"type":"join","room":"general"}');
});

test('each_frame_of_the_full_dialect_is_read', () => {
  const log = new Log();
  const message = log.append(ADA, 'hello', 'k1');
  const frames = [
    welcome(ADA), log.joined({ id: 'r1', history: 50, users: [ADA] }), message,
    { type: 'ack', id: 'k1', room: 'general', seq: 1, created_at: message.data.created_at },
    { type: 'error', id: 'k1', code: 'RATE_LIMITED', message: 'too fast', retry_after_ms: 500 },
    log.history({ id: 'r2', before: 2, limit: 50 }), log.history({ id: 'r3', after: 0, limit: 50 }),
    { type: 'typing', room: 'general', user: ADA, typing: true },
    { type: 'presence', room: 'general', snapshot: false, users: [], joined: [ADA], left: [], changed: [], count: 1 },
    { type: 'heartbeat', heads: { general: log.head() } }, { type: 'pong' },
    { type: 'resync', room: 'general', cursor: log.head(), reason: 'TOO_FAR' }, { type: 'gone', room: 'general', reason: 'ROOM_NOT_FOUND' },
    { type: 'going_away', retry_after_ms: 1200, reason: 'GOING_AWAY' },
  ];
  for (const frame of frames) assert.equal(decode(JSON.stringify(frame)).is, frame.type === 'message' ? 'event' : frame.type);
});

test('an_event_of_an_unknown_kind_still_has_its_cursor_p12', () => {
  const frame = decode(JSON.stringify(new Log().append(ADA)));
  assert.deepEqual(frame, { is: 'event', id: '', event: { type: 'event', room: 'general', seq: 1, cursor: { text: 'c0ffee00:1', seq: 1 } } });
});

test('unknown_fields_are_ignored_and_unknown_frames_are_told_apart_p12', () => {
  assert.equal(decode('{"type":"pong","colour":"red"}').is, 'pong');
  assert.equal(decode('{"type":"fireworks","id":"r9"}').is, 'unknown');
});

test('no_text_makes_it_throw_p12', () => {
  const roll = dice(7);
  const good = JSON.stringify(new Log().joined({ id: 'r1', users: [ADA] }));
  for (const text of ['', 'null', '[]', '7', '{', '{"type":1}', '{"type":"joined"}', '{"type":"welcome","user":null}', '{"type":"heartbeat","heads":{"a":"x"}}', '{"type":"__proto__"}', undefined, new ArrayBuffer(2)]) {
    assert.equal(decode(text).is, 'unknown');
  }
  for (let turn = 0; turn < 2_000; turn += 1) {
    const at = Math.floor(roll() * good.length);
    decode(good.slice(0, at) + String.fromCharCode(32 + Math.floor(roll() * 90)) + good.slice(at + Math.floor(roll() * 9)));
  }
});

test('an_event_whose_cursor_names_another_seq_is_not_believed', () => {
  const said = new Log().append(ADA, 'hello');
  for (const changed of [{ seq: 2 }, { cursor: 'c0ffee00:2' }]) assert.equal(decode(JSON.stringify({ ...said, ...changed })).is, 'unknown');
});

test('a_cursor_is_opaque_but_for_its_seq', () => {
  assert.deepEqual(parseCursor('c0ffee00:17'), { text: 'c0ffee00:17', seq: 17 });
  for (const text of ['', ':', 'c0ffee00', 'c0ffee00:', 'c0ffee00:-1', 'a:b:1', 17, null]) assert.equal(parseCursor(text), null);
});

test('only_what_waiting_helps_is_tried_again', () => {
  assert.ok(isRetryable('UNAVAILABLE') && isRetryable('RATE_LIMITED'));
  assert.ok(!isRetryable('INVALID_CONTENT') && !isRetryable('ROOM_ARCHIVED') && !isRetryable('toString'));
});
