import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ADA, BOB, Log, welcome } from './support/log.mjs';
import { dice, load } from './support/modules.mjs';

const { decode } = await load('frames.js');
const { dueAt, hello, next } = await load('plan.js');
const { hasNews } = await load('room.js');
const { MOST_DRAFTS } = await load('outbox.js');
const { rows } = await load('rows.js');
const { gaps, initial, isFull, keeping, reduce } = await load('state.js');

/** A page and the server at the other end of its socket, both in hand. */
class Page {
  now = 1_000;
  said = [];

  constructor({ seen = new Map(), drafts = [] } = {}) {
    this.state = initial({ name: 'Ada', token: null, seen });
    this.does({ type: 'restored', drafts });
  }

  does(...actions) {
    for (const action of actions) this.state = reduce(this.state, { ...action, now: this.now, random: 0.5 });
    return this;
  }

  hears(...frames) {
    return this.does(...frames.map((frame) => ({ type: 'frame', frame: decode(JSON.stringify(frame)) })));
  }

  /** Sends what is due; the frames. */
  says() {
    const frames = [];
    for (let request = next(this.state, this.now); request; request = next(this.state, this.now)) {
      frames.push(request.frame);
      this.does(request.action);
    }
    this.said.push(...frames);
    return frames;
  }

  /** Opens a connection and is greeted; the rooms of `hello`. */
  connects(user = ADA) {
    this.does({ type: 'link', phase: 'connecting' }, { type: 'link', phase: 'greeting' });
    const { frame, rooms } = hello(this.state);
    this.does({ type: 'greeting', rooms }).hears(welcome(user));
    return frame;
  }

  loses() {
    return this.does({ type: 'link', phase: 'waiting', retryAt: this.now + 500 });
  }

  opens(room) {
    return this.does({ type: 'navigate', route: { page: 'room', room } });
  }

  writes(key, content = key) {
    return this.does({ type: 'write', room: 'general', key, content });
  }

  room(name = 'general') {
    return this.state.rooms.get(name);
  }

  texts() {
    return rows(this.room(), this.state.me).filter(({ kind }) => kind === 'message').map(({ content }) => content);
  }
}

/** A page in a room whose log holds so many messages of Bob's. */
function inside(count = 3) {
  const log = new Log();
  for (let number = 1; number <= count; number += 1) log.append(BOB, `message ${number}`);
  const page = new Page().opens('general');
  page.connects();
  const [join] = page.says();
  page.hears(log.joined({ ...join, users: [ADA, BOB] }));
  return { log, page };
}

test('a_first_visit_joins_with_history_and_shows_it', () => {
  const { page } = inside();
  assert.deepEqual(page.said[0], { type: 'join', id: 'r1', room: 'general', cursor: undefined, history: 50, monitor: false });
  assert.deepEqual([page.texts(), page.room().presence.count], [['message 1', 'message 2', 'message 3'], 2]);
  assert.deepEqual(page.says(), []);
});

test('a_return_resumes_with_the_cursor_in_hello_p4', () => {
  const { log, page } = inside();
  page.loses();
  const missed = log.append(BOB, 'missed');
  const greeting = page.connects();
  assert.deepEqual([greeting.version, greeting.guest_token, greeting.rooms], [1, 'token', { general: log.cursor(3) }]);
  assert.deepEqual(page.says(), []);
  page.hears(log.joined({ cursor: log.cursor(3), users: [ADA] }), missed, missed);
  assert.deepEqual(page.texts(), ['message 1', 'message 2', 'message 3', 'missed']);
});

test('what_was_sent_and_not_answered_is_sent_again_with_its_key_in_order_p5', () => {
  const { log, page } = inside(0);
  page.writes('a').writes('b').writes('c');
  assert.deepEqual(page.says().map(({ client_message_id }) => client_message_id), ['a']);
  log.append(ADA, 'a', 'a'); // it was kept, but nobody said so
  page.loses();
  page.connects();
  assert.deepEqual(page.says(), [], 'nothing before joined');
  page.hears(log.joined({ cursor: log.cursor(0), users: [ADA] }), ...log.events);
  for (const key of ['b', 'c']) {
    const [frame, ...more] = page.says();
    assert.deepEqual([frame.client_message_id, more], [key, []]);
    const event = log.append(ADA, key, key);
    page.hears({ type: 'ack', id: key, room: 'general', seq: event.seq }, event);
  }
  assert.deepEqual([page.texts(), page.room().outbox], [['a', 'b', 'c'], []]);
});

test('a_draft_and_its_message_are_one_line', () => {
  const { log, page } = inside(1);
  page.writes('k', 'hello').says();
  const key = () => rows(page.room(), page.state.me).at(-1).key;
  const before = key();
  page.hears({ type: 'ack', id: 'k', room: 'general', seq: 2 });
  assert.equal(rows(page.room(), page.state.me).at(-1).state, 'kept');
  page.hears(log.append(ADA, 'hello', 'k'));
  assert.deepEqual([key(), page.texts()], [before, ['message 1', 'hello']]);
});

test('an_ack_after_its_event_leaves_nothing_behind', () => {
  const { log, page } = inside(1);
  page.writes('k', 'hello').says();
  page.hears(log.append(ADA, 'hello', 'k'), { type: 'ack', id: 'k', room: 'general', seq: 2 });
  assert.deepEqual([page.texts(), page.room().outbox], [['message 1', 'hello'], []]);
});

test('a_refusal_that_passes_is_tried_again_and_one_that_stays_is_shown_p11', () => {
  const { page } = inside(1);
  page.writes('a').says();
  page.hears({ type: 'error', id: 'a', code: 'UNAVAILABLE', message: 'away', retry_after_ms: 800 });
  assert.deepEqual(page.says(), []);
  page.now = dueAt(page.state, page.now);
  assert.ok(page.now >= 1_800);
  assert.equal(page.says()[0].client_message_id, 'a');
  page.hears({ type: 'error', id: 'a', code: 'INVALID_CONTENT', message: 'content is blank' });
  const line = rows(page.room(), page.state.me).at(-1);
  assert.deepEqual([line.state, line.problem], ['failed', 'content is blank']);
});

const kept = (key, at, change = {}) => ({ key, room: 'general', content: key, author: ADA.id, at, problem: null, ...change });

test('drafts_of_an_earlier_page_are_sent_in_order_before_what_is_written_now_p5', () => {
  const page = new Page({ drafts: [kept('a', 1), kept('b', 2), kept('x', 3, { room: 'random' })] }).opens('general').writes('c');
  const log = new Log();
  page.connects();
  const joins = page.says();
  assert.deepEqual(joins.map(({ room, monitor }) => [room, monitor]), [['general', false], ['random', true]], 'and nothing before joined');
  page.hears(log.joined(joins[0]), new Log('random').joined(joins[1]));
  const said = [];
  for (let frames = page.says(); frames.length > 0; frames = page.says()) {
    for (const { room, client_message_id: key } of frames) {
      said.push(key);
      if (room === 'general') page.hears(log.append(ADA, key, key), { type: 'ack', id: key, room, seq: log.events.length });
    }
  }
  assert.deepEqual([said.filter((key) => key !== 'x'), said.includes('x'), page.texts()], [['a', 'b', 'c'], true, ['a', 'b', 'c']]);
  assert.deepEqual(keeping(page.state).map(({ key }) => key), ['x'], 'which nobody has acknowledged');
});

test('nothing_is_sent_before_the_drafts_of_earlier_pages_have_come_p5', () => {
  const { page } = inside(0);
  page.state = { ...page.state, isRestored: false };
  assert.deepEqual(page.writes('new').says(), []);
  page.does({ type: 'restored', drafts: [kept('old', 1)] });
  assert.equal(page.says()[0].client_message_id, 'old');
});

test('a_draft_that_the_log_shows_already_does_not_come_back', () => {
  const { log, page } = inside(1);
  page.hears(log.append(ADA, 'from a page that was closed', 'k'));
  page.does({ type: 'restored', drafts: [kept('k', 1)] });
  assert.deepEqual([page.room().outbox, keeping(page.state), page.says()], [[], [], []]);
});

test('a_draft_of_somebody_one_is_no_more_is_not_sent_by_itself_p5', () => {
  const page = new Page({ drafts: [kept('theirs', 1, { author: BOB.id })] }).opens('general');
  page.connects();
  page.hears(new Log().joined(page.says()[0]));
  assert.deepEqual([page.says(), page.room().outbox[0].state], [[], 'failed']);
  page.does({ type: 'retry', room: 'general', key: 'theirs' });
  assert.equal(page.says()[0].client_message_id, 'theirs');
  assert.equal(page.room().outbox[0].author, ADA.id);
});

test('a_failed_draft_can_be_taken_back_to_be_written_anew_p11', () => {
  const { page } = inside(1);
  page.writes('a', 'teh').says();
  page.hears({ type: 'error', id: 'a', code: 'INVALID_CONTENT', message: 'No.' });
  page.does({ type: 'edit', room: 'general', key: 'a' });
  assert.deepEqual([page.room().outbox, page.room().recalled], [[], { content: 'teh' }]);
});

test('what_waits_in_all_rooms_together_is_bounded_p8', () => {
  const page = new Page().opens('random').opens('general');
  for (let number = 0; number < 300; number += 1) page.does({ type: 'write', room: number % 2 ? 'random' : 'general', key: String(number), content: 'x' });
  assert.deepEqual([isFull(page.state), keeping(page.state).length], [true, MOST_DRAFTS]);
  page.does({ type: 'discard', room: 'general', key: '0' });
  assert.ok(!isFull(page.state));
});

test('a_room_that_is_closed_to_us_fails_the_drafts_in_it_p11', () => {
  const { page } = inside(1);
  page.loses();
  page.writes('a');
  page.connects();
  page.hears({ type: 'gone', room: 'general', reason: 'ROOM_NOT_FOUND' });
  assert.equal(page.room().outbox[0].state, 'failed');
});

test('whatever_the_socket_drops_repeats_or_reorders_the_page_ends_equal_to_the_log_p3_p5', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const roll = dice(seed);
    const { log, page } = inside(Math.floor(roll() * 4));
    const [wire, said] = [[], []];
    const isFaulty = seed % 4 > 0;
    const isTime = (share) => isFaulty && roll() < share;
    const serve = (frame) => {
      if (frame.type === 'history') return wire.push(log.history(frame));
      if (frame.type !== 'message') return;
      const event = log.append(ADA, frame.content, frame.client_message_id);
      wire.push(event, { type: 'ack', id: frame.id, room: 'general', seq: event.seq });
    };
    for (let turn = 0; turn < 80; turn += 1) {
      page.now += 5_000;
      if (roll() < 0.4) wire.push(log.append(BOB, `b${turn}`));
      if (roll() < 0.2) said.push(`a${turn}`) && page.writes(`a${turn}`);
      if (roll() < 0.1) wire.push({ type: 'heartbeat', heads: { general: log.head() } });
      if (isTime(0.2) && log.events.length > 0) wire.push(log.events[Math.floor(roll() * log.events.length)]);
      const place = Math.floor(roll() * wire.length);
      // Events alone are dropped: an answer that does not come ends the link.
      if (isTime(0.15) && wire[place]?.cursor) wire.splice(place, 1);
      if (isTime(0.03)) {
        wire.length = 0;
        page.hears(log.joined({ cursor: page.loses().connects().rooms.general, users: [ADA] }));
      }
      if (roll() < 0.8 && wire.length > 0) page.hears(...wire.splice(isTime(0.3) ? Math.min(place, wire.length - 1) : 0, 1));
      page.says().forEach(serve);
    }
    // At last the socket brings everything, and a head.
    for (let turn = 0; turn < 200; turn += 1) {
      page.now += 20_000;
      page.hears(...wire.splice(0), { type: 'heartbeat', heads: { general: log.head() } });
      page.says().forEach(serve);
    }
    assert.deepEqual(page.texts(), log.events.map(({ data }) => data.content), `seed ${seed}`);
    assert.deepEqual(log.events.filter(({ data }) => data.user.id === ADA.id).map(({ data }) => data.content), said, `seed ${seed}`);
    assert.deepEqual([page.room().outbox, page.state.renew, gaps(page.state).open], [[], false, 0], `seed ${seed}`);
    if (!isFaulty) assert.equal(gaps(page.state).found, 0, `seed ${seed}: a false alarm`);
  }
});

test('a_head_beyond_the_timeline_is_healed_from_history_p3', () => {
  const { log, page } = inside(1);
  for (let number = 2; number <= 8; number += 1) log.append(BOB, `message ${number}`);
  page.hears({ type: 'heartbeat', heads: { general: log.head() } });
  for (let frames = page.says(); frames.length > 0; frames = page.says()) page.hears(...frames.map((frame) => log.history(frame)));
  assert.equal(page.texts().at(-1), 'message 8');
  assert.equal(page.texts().length, 8);
  assert.deepEqual(gaps(page.state), { found: 1, open: 0 });
});

test('a_history_request_that_is_refused_is_made_again_later', () => {
  const { log, page } = inside(1);
  log.append(BOB, 'message 2');
  page.hears({ type: 'heartbeat', heads: { general: log.head() } });
  const [{ id }] = page.says();
  page.hears({ type: 'error', id, code: 'UNAVAILABLE', message: 'away' });
  assert.deepEqual(page.says(), []);
  page.now = dueAt(page.state, page.now);
  page.hears(log.history(page.says()[0]));
  assert.deepEqual(page.texts(), ['message 1', 'message 2']);
});

test('after_resync_the_tail_is_read_anew_and_late_answers_do_not_count_p3', () => {
  const { log, page } = inside(60);
  page.does({ type: 'older', room: 'general' });
  const [older] = page.says();
  for (let number = 61; number <= 200; number += 1) log.append(BOB, `message ${number}`);
  page.hears({ type: 'resync', room: 'general', cursor: log.head(), reason: 'TOO_FAR' });
  const [tail] = page.says();
  assert.equal(tail.before, 201);
  page.hears(log.history(older), log.history(tail));
  assert.deepEqual([page.texts()[0], page.texts().at(-1), page.texts().length], ['message 151', 'message 200', 50]);
  assert.equal(page.room().reloaded, 'TOO_FAR');
});

test('older_history_is_asked_once_and_ends', () => {
  const { log, page } = inside(120);
  for (let turn = 0; turn < 5; turn += 1) {
    page.does({ type: 'older', room: 'general' }, { type: 'older', room: 'general' });
    const frames = page.says();
    assert.ok(frames.length <= 1);
    page.hears(...frames.map((frame) => log.history(frame)));
  }
  assert.deepEqual([page.texts().length, page.room().timeline.more], [120, false]);
  assert.equal(page.said.filter(({ type }) => type === 'history').length, 2);
});

test('leaving_a_room_watches_it_and_news_are_marked', () => {
  const { log, page } = inside(1);
  page.does({ type: 'navigate', route: { page: 'rooms' } });
  const [join] = page.says();
  assert.deepEqual([join.type, join.monitor, join.history], ['join', true, 0]);
  page.hears({ ...log.joined({ id: join.id, cursor: log.cursor(1) }) });
  assert.ok(!hasNews(page.room()));
  page.hears(log.append(ADA, 'from my other tab'));
  assert.ok(!hasNews(page.room()), 'one is no news to oneself');
  page.hears(log.append(BOB, 'anyone?'));
  assert.ok(hasNews(page.room()));
  page.opens('general');
  assert.ok(!hasNews(page.room()));
  assert.deepEqual(page.texts(), ['message 1', 'from my other tab', 'anyone?']);
});

test('what_nobody_looks_at_is_not_seen', () => {
  const { log, page } = inside(1);
  page.does({ type: 'at-end', room: 'general', atEnd: false }).hears(log.append(BOB, 'below what is shown'));
  assert.ok(hasNews(page.room()));
  page.does({ type: 'at-end', room: 'general', atEnd: true });
  assert.ok(!hasNews(page.room()));
  page.does({ type: 'visible', isVisible: false }).hears(log.append(BOB, 'behind another window'));
  assert.ok(hasNews(page.room()));
  page.does({ type: 'visible', isVisible: true });
  assert.ok(!hasNews(page.room()));
});

test('what_was_seen_elsewhere_is_seen_and_never_less', () => {
  const { log, page } = inside(1);
  page.does({ type: 'navigate', route: { page: 'rooms' } });
  const [join] = page.says();
  page.hears(log.joined({ id: join.id, cursor: log.cursor(1) }), log.append(BOB, 'x'), log.append(BOB, 'y'));
  page.does({ type: 'seen-elsewhere', seen: new Map([['general', 3]]) });
  assert.ok(!hasNews(page.room()));
  page.does({ type: 'seen-elsewhere', seen: new Map([['general', 2]]) });
  assert.ok(!hasNews(page.room()), 'an older tab takes nothing back');
});

test('rooms_of_a_long_list_that_are_watched_leave_places_for_those_visited_p8', () => {
  const { page } = inside(0);
  const entry = (number) => ({ id: 'R', name: `room-${number}`, title: '', topic: '', online: 0, message_count: 0, last_message_at: null });
  const { limits } = page.state;
  page.state = { ...page.state, limits: { ...limits, rooms: 30 } };
  page.does({ type: 'listed', entries: Array.from({ length: 50 }, (_, number) => entry(number)), next: '', isMore: false });
  assert.deepEqual([page.state.list.entries.size, page.state.rooms.size], [50, 20]);
});

test('ones_own_typing_is_not_shown_to_oneself', () => {
  const { page } = inside(1);
  const typing = (user) => ({ type: 'typing', room: 'general', user, typing: true });
  page.hears(typing(ADA), typing(BOB));
  assert.deepEqual([...page.room().typists.keys()], [BOB.id]);
});

test('an_answer_to_what_was_asked_on_an_older_link_is_not_waited_for', () => {
  const { page } = inside(1);
  page.does({ type: 'older', room: 'general' }, { type: 'navigate', route: { page: 'rooms' } });
  page.says();
  assert.ok(page.state.asked.size > 0);
  page.loses();
  assert.equal(page.state.asked.size, 0);
});

test('what_was_said_since_an_earlier_visit_is_news', () => {
  const log = new Log();
  for (let number = 1; number <= 9; number += 1) log.append(BOB, 'x');
  const page = new Page({ seen: new Map([['general', 5]]) });
  const entry = { id: 'R', name: 'general', title: 'General', topic: '', online: 0, message_count: 9, last_message_at: null };
  page.does({ type: 'listed', entries: [entry, { ...entry, name: 'random' }], next: '', isMore: false });
  page.connects();
  const joins = page.says();
  assert.deepEqual(joins.map(({ room, monitor }) => [room, monitor]), [['general', true], ['random', true]]);
  page.hears(log.joined(joins[0]), { ...new Log('random').joined(joins[1]) });
  assert.deepEqual([hasNews(page.room('general')), hasNews(page.room('random'))], [true, false]);
});

test('the_list_counts_each_message_once', () => {
  const { log, page } = inside(1);
  const entry = { id: 'R', name: 'general', title: 'General', topic: '', online: 0, message_count: 2, last_message_at: '2026-11-24T12:00:02Z' };
  const second = log.append(BOB, 'in the list already');
  page.does({ type: 'listed', entries: [entry], next: '', isMore: false }).hears(second, log.append(BOB, 'after it'), second);
  assert.equal(page.state.list.entries.get('general').message_count, 3);
});

test('who_comes_and_goes_is_noticed_in_one_line_and_oneself_is_not', () => {
  const { page } = inside(1);
  const diff = (change) => page.hears({ type: 'presence', room: 'general', snapshot: false, users: [], joined: [], left: [], changed: [], count: 2, ...change });
  const cy = { id: 'guest_cy', name: 'Cy', guest: true };
  diff({ joined: [cy] });
  diff({ left: [BOB] });
  diff({ left: [ADA] });
  const notices = rows(page.room(), page.state.me).filter(({ kind }) => kind === 'presence');
  assert.deepEqual(notices.map(({ came, went }) => [came, went]), [[[cy], [BOB]]]);
});

test('a_room_that_cannot_be_entered_says_so_and_is_tried_again_when_asked_p11', () => {
  const page = new Page().opens('nowhere');
  page.connects();
  const [{ id }] = page.says();
  page.hears({ type: 'error', id, code: 'ROOM_NOT_FOUND', message: 'room nowhere does not exist' });
  assert.deepEqual([page.room('nowhere').refused.code, page.says()], ['ROOM_NOT_FOUND', []]);
  page.does({ type: 'try-again', room: 'nowhere' });
  assert.equal(page.says()[0].type, 'join');
});

test('a_room_of_hello_that_is_gone_is_no_longer_resumed', () => {
  const { page } = inside(1);
  page.loses();
  page.connects();
  page.hears({ type: 'gone', room: 'general', reason: 'ROOM_NOT_FOUND' });
  assert.deepEqual([page.room().refused.code, page.says()], ['ROOM_NOT_FOUND', []]);
  page.loses();
  assert.deepEqual(page.connects().rooms, {});
});

test('a_contradiction_has_the_connection_made_anew_for_the_server_to_judge', () => {
  const { log, page } = inside(1);
  page.hears(log.append(BOB, 'x'), { type: 'heartbeat', heads: { general: 'deadbeef:2' } });
  assert.ok(page.state.renew);
  page.loses();
  assert.ok(!page.state.renew);
});

test('frames_of_rooms_and_types_not_known_change_nothing_p12', () => {
  const { log, page } = inside(1);
  const { rooms } = page.state;
  page.hears({ type: 'fireworks' }, { ...log.append(BOB, 'x'), room: '__proto__' }, { type: 'typing', room: 'constructor', user: BOB, typing: true });
  assert.deepEqual([page.state.rooms === rooms, page.state.unknown], [true, 1]);
});

test('what_is_kept_of_a_busy_room_is_bounded_p8', () => {
  const { log, page } = inside(0);
  for (let number = 1; number <= 1_500; number += 1) page.hears(log.append(BOB, `message ${number}`));
  assert.ok(page.room().timeline.items.length <= 800);
  assert.ok(page.room().timeline.more);
  assert.equal(page.texts().at(-1), 'message 1500');
});
