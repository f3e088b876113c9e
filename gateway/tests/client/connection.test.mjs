import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { ADA, Log, welcome } from './support/log.mjs';
import { load } from './support/modules.mjs';

const { Connection } = await load('connection.js');

/** Sockets in hand: `accepts`, `says` and `ends` are the server's side. */
class Socket extends EventTarget {
  static OPEN = 1;
  static all = [];
  readyState = 0;
  said = [];

  constructor(url) {
    super();
    this.url = url;
    Socket.all.push(this);
  }

  send(text) {
    this.said.push(JSON.parse(text));
  }

  close(code) {
    this.readyState = 2;
    this.closedWith = code;
  }

  accepts() {
    this.readyState = 1;
    this.dispatchEvent(new Event('open'));
    return this;
  }

  says(...frames) {
    for (const frame of frames) this.dispatchEvent(Object.assign(new Event('message'), { data: JSON.stringify(frame) }));
    return this;
  }

  ends(code) {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event('close'), { code }));
  }
}

let actions, frames, connection;
const last = () => Socket.all.at(-1);
const phase = () => actions.findLast(({ type }) => type === 'link').phase;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000 });
  globalThis.WebSocket = Socket;
  Socket.all = [];
  [actions, frames] = [[], []];
  connection = new Connection({
    url: 'ws://here/chat', dispatch: (action) => actions.push(action), heard: (frame) => frames.push(frame),
    hello: () => ({ frame: { type: 'hello', version: 1 }, rooms: ['general'] }),
  });
  connection.open();
});

test('hello_comes_first', () => {
  last().accepts();
  assert.deepEqual([last().said, phase()], [[{ type: 'hello', version: 1 }], 'greeting']);
  assert.deepEqual(actions.at(-1), { type: 'greeting', rooms: ['general'] });
});

test('a_heartbeat_is_answered_with_ping', () => {
  last().accepts().says(welcome(ADA), { type: 'heartbeat', heads: { general: new Log().head() } });
  assert.deepEqual(last().said.at(-1), { type: 'ping' });
});

test('close_codes_that_invite_a_return_bring_one_and_the_others_none', () => {
  for (const code of [1006, 1001, 1012, 4000, 4001, 4499]) {
    connection.open();
    last().accepts().says(welcome(ADA)).ends(code);
    assert.equal(phase(), 'waiting', String(code));
  }
  for (const code of [4500, 4501, 4502, 4503, 4999]) {
    connection.open();
    const { length } = Socket.all;
    last().accepts().says(welcome(ADA)).ends(code);
    mock.timers.tick(120_000);
    assert.deepEqual([phase(), Socket.all.length], ['ended', length], String(code));
    assert.match(actions.at(-1).reason, /\w/);
  }
});

test('delays_grow_while_it_does_not_get_through_and_start_anew_once_it_was_steady_p10', () => {
  const wait = () => actions.at(-1).retryAt - Date.now();
  const random = mock.method(Math, 'random', () => 1);
  const waits = [0, 1, 2].map(() => {
    last().ends(1006);
    const waited = wait();
    mock.timers.tick(waited);
    return waited;
  });
  assert.ok(waits[0] < waits[1] && waits[1] < waits[2]);
  last().accepts().says(welcome(ADA));
  mock.timers.tick(6_000);
  last().ends(1006);
  assert.equal(wait(), waits[0]);
  random.mock.restore();
});

test('returns_are_jittered_p10', () => {
  const random = mock.method(Math, 'random', () => 0.1);
  last().ends(1006);
  const early = actions.at(-1).retryAt;
  connection.stop(null);
  random.mock.mockImplementation(() => 0.9);
  connection.open();
  last().accepts().says(welcome(ADA));
  mock.timers.tick(6_000);
  last().ends(1006);
  assert.ok(actions.at(-1).retryAt - 6_000 > early, 'the same try at another moment');
  random.mock.restore();
});

test('a_silent_socket_is_given_up_and_not_heard_again', () => {
  last().accepts().says(welcome(ADA));
  const silent = last();
  mock.timers.tick(25_000 * 2 + 5_000);
  assert.deepEqual([phase(), silent.closedWith], ['waiting', 1000]);
  const heard = frames.length;
  silent.says({ type: 'pong' }).ends(4500);
  assert.deepEqual([frames.length, phase()], [heard, 'waiting']);
});

test('a_server_that_never_greets_is_given_up', () => {
  last().accepts();
  mock.timers.tick(10_000);
  assert.equal(phase(), 'waiting');
});

test('going_away_is_obeyed_to_stay_and_then_to_come_back_at_once_p10', () => {
  last().accepts().says(welcome(ADA), { type: 'going_away', retry_after_ms: 900, reason: 'GOING_AWAY' });
  mock.timers.tick(899);
  assert.equal(Socket.all.length, 1);
  mock.timers.tick(1);
  assert.deepEqual([Socket.all.length, Socket.all[0].closedWith, phase()], [2, 1000, 'connecting']);
});

test('a_nudge_tries_at_once_or_finds_out_whether_the_socket_lives', () => {
  last().ends(1006);
  connection.nudge();
  mock.timers.tick(400);
  assert.equal(Socket.all.length, 2);
  last().accepts().says(welcome(ADA));
  connection.nudge();
  assert.deepEqual(last().said.at(-1), { type: 'ping' });
  last().says({ type: 'pong' });
  mock.timers.tick(10_000);
  assert.equal(phase(), 'greeting', 'it lives: nothing was given up');
  connection.nudge();
  mock.timers.tick(4_000);
  assert.equal(phase(), 'waiting');
});

test('a_wake_brings_the_next_try_forward_and_never_back_and_spreads_it', () => {
  const random = mock.method(Math, 'random', () => 0.99);
  for (let tries = 0; tries < 6; tries += 1) {
    last().ends(1006);
    if (tries < 5) mock.timers.tick(20_000);
  }
  const due = () => actions.findLast(({ type }) => type === 'link').retryAt - Date.now();
  assert.ok(due() > 10_000);
  connection.nudge();
  assert.ok(due() > 300 && due() <= 400);
  mock.timers.tick(300);
  connection.nudge();
  assert.ok(due() < 100, 'a second wake does not put it off');
  random.mock.mockImplementation(() => 0.1);
  connection.nudge();
  assert.ok(due() <= 40);
  random.mock.restore();
});

test('clients_that_lose_one_server_do_not_return_in_step_p10', () => {
  const surroundings = () => {
    const mine = { dueAt: 0 };
    mine.connection = new Connection({ url: '', hello: () => ({ frame: { type: 'hello' }, rooms: [] }), heard() {}, dispatch: ({ phase, retryAt }) => { if (phase === 'waiting') mine.dueAt = retryAt; } });
    mine.connection.open();
    mine.socket = last().accepts().says(welcome(ADA));
    return mine;
  };
  const all = Array.from({ length: 500 }, surroundings);
  for (const widest of [500, 1_000, 2_000, 4_000]) {
    for (const { socket } of all) socket.ends(1006);
    const waits = all.map(({ dueAt }) => dueAt - Date.now());
    const most = (width) => Math.max(...waits.map((start) => waits.filter((wait) => wait >= start && wait < start + width).length));
    assert.ok(Math.max(...waits) <= widest && most(widest / 10) < 100, `${most(widest / 10)} of 500 in a tenth of ${widest} ms`);
    mock.timers.tick(widest);
    // Each has opened another: whichever it was, it ends as well.
    const fresh = Socket.all.slice(-500);
    all.forEach((client, place) => { client.socket = fresh[place]; });
  }
  for (const { connection } of all) connection.stop(null);
});
