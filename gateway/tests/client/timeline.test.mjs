import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ADA, Log } from './support/log.mjs';
import { dice, load } from './support/modules.mjs';

const { decode, parseCursor } = await load('frames.js');
const timeline = await load('timeline.js');

const read = (event) => decode(JSON.stringify(event)).event;
const at = (log, seq) => timeline.joined(timeline.empty(), parseCursor(log.cursor(seq)), [], seq > 0);
const seqs = ({ items }) => items.map(({ seq }) => seq);

function filled(count) {
  const log = new Log();
  for (let number = 1; number <= count; number += 1) log.append(ADA, `message ${number}`);
  return log;
}

/** Asks for what is missing, and answers, until nothing is; returns what was delivered meanwhile. */
function heal(log, state, limit = 3) {
  const delivered = [];
  for (let after = timeline.wanted(state); after !== null; after = timeline.wanted(state)) {
    const { events, more } = log.eventsAfter(after, limit);
    const step = timeline.page(timeline.asked(state), events.map(read), more);
    state = step.timeline;
    delivered.push(...step.delivered);
  }
  return { state, delivered };
}

test('events_are_delivered_once_and_in_order_p3', () => {
  const log = filled(3);
  let state = at(log, 0);
  const delivered = [];
  for (const event of [...log.events, ...log.events]) {
    const step = timeline.event(state, read(event));
    state = step.timeline;
    delivered.push(...step.delivered.map(({ seq }) => seq));
  }
  assert.deepEqual(delivered, [1, 2, 3]);
  assert.equal(state.position.text, log.cursor(3));
});

test('a_gap_is_read_from_the_log_before_what_came_early_p3', () => {
  const log = filled(6);
  let { timeline: state, delivered } = timeline.event(at(log, 1), read(log.events[5]));
  assert.deepEqual([delivered, timeline.wanted(state)], [[], 1]);
  ({ state, delivered } = heal(log, state));
  assert.deepEqual(delivered.map(({ seq }) => seq), [2, 3, 4, 5, 6]);
});

test('what_came_early_follows_the_event_that_closes_the_gap_p3', () => {
  const log = filled(4);
  let state = at(log, 1);
  for (const number of [2, 2, 3]) state = timeline.event(state, read(log.events[number])).timeline;
  assert.deepEqual(state.pending.map(({ seq }) => seq), [3, 4], 'each is kept once');
  const step = timeline.event(state, read(log.events[1]));
  assert.deepEqual(step.delivered.map(({ seq }) => seq), [2, 3, 4]);
  assert.deepEqual([step.timeline.pending, timeline.wanted(step.timeline)], [[], null]);
});

test('a_page_that_nobody_waits_for_changes_nothing', () => {
  const log = filled(3);
  const state = timeline.unanswered(timeline.asked(timeline.head(at(log, 1), parseCursor(log.head()))));
  const step = timeline.page(state, log.events.slice(1).map(read), false);
  assert.deepEqual([step.timeline === state, step.delivered], [true, []]);
});

test('what_was_heard_of_while_a_page_was_read_is_asked_for_p3', () => {
  const log = filled(5);
  const asked = timeline.asked(timeline.head(at(log, 2), parseCursor(log.cursor(3))));
  const meanwhile = timeline.head(asked, parseCursor(log.head()));
  const { timeline: state } = timeline.page(meanwhile, [], false);
  assert.deepEqual([state.want, timeline.wanted(state)], [5, 2]);
});

test('a_timeline_behind_a_head_heals_p3', () => {
  const log = filled(5);
  const { state } = heal(log, timeline.head(at(log, 2), parseCursor(log.head())));
  assert.equal(state.position.seq, 5);
});

test('a_gap_is_counted_once_and_a_whole_timeline_is_never_suspected_of_one_p3', () => {
  const log = filled(9);
  let state = timeline.head(at(log, 2), parseCursor(log.cursor(2)));
  for (const event of log.events.slice(0, 4)) {
    state = timeline.head(timeline.event(state, read(event)).timeline, parseCursor(log.cursor(Math.max(2, event.seq))));
    assert.deepEqual([state.gaps, timeline.isBehind(state), timeline.wanted(state)], [0, false, null]);
  }
  state = timeline.event(timeline.event(state, read(log.events[7])).timeline, read(log.events[8])).timeline;
  assert.deepEqual([state.gaps, timeline.isBehind(state)], [1, true]);
  ({ state } = heal(log, timeline.head(state, parseCursor(log.head()))));
  assert.deepEqual([state.gaps, timeline.isBehind(state), state.position.seq], [1, false, 9]);
});

test('one_page_is_asked_for_at_a_time', () => {
  const log = filled(9);
  const state = timeline.asked(timeline.head(at(log, 2), parseCursor(log.head())));
  assert.equal(timeline.wanted(state), null);
  assert.equal(timeline.wanted(timeline.unanswered(state)), 2);
});

test('a_head_of_a_log_that_is_gone_does_not_ask_for_ever', () => {
  const log = filled(5);
  const { state } = heal(log, timeline.head(at(log, 5), parseCursor('c0ffee00:9')));
  assert.equal(timeline.wanted(state), null);
});

test('a_cursor_that_contradicts_is_a_suspicion_and_no_verdict', () => {
  const log = filled(4);
  const state = timeline.event(at(log, 3), read(log.events[3])).timeline;
  assert.ok(!timeline.head(state, parseCursor(log.head())).suspect);
  const other = timeline.head(state, parseCursor('deadbeef:4'));
  assert.ok(other.suspect && other.position.seq === 4);
  const repeated = timeline.event(state, read({ ...log.events[3], cursor: 'deadbeef:4' }));
  assert.ok(repeated.timeline.suspect && repeated.delivered.length === 0 && repeated.timeline.pending.length === 0);
});

test('an_event_of_an_unknown_kind_moves_the_cursor_and_shows_nothing_p12', () => {
  const log = filled(1);
  log.append(ADA);
  log.append(ADA, 'after it');
  let state = at(log, 0);
  for (const event of log.events) state = timeline.event(state, read(event)).timeline;
  assert.deepEqual([seqs(state), state.position.seq], [[1, 3], 3]);
});

test('history_joins_the_items_without_a_hole_or_a_repeat', () => {
  const log = filled(20);
  let state = timeline.joined(timeline.empty(), parseCursor(log.head()), log.messagesBelow(Infinity, 5).messages, true);
  const page = log.messagesBelow(timeline.oldest(state), 8);
  state = timeline.tail(state, [...page.messages, ...log.messagesBelow(Infinity, 2).messages], page.more);
  assert.deepEqual(seqs(state), [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
});

test('the_newest_page_says_nothing_of_what_lies_below_the_items', () => {
  const log = filled(6);
  const state = timeline.tail(at(log, 6), log.messagesBelow(Infinity, 9).messages, false);
  assert.ok(!timeline.tail(state, log.messagesBelow(Infinity, 2).messages, true).more);
});

test('an_empty_page_ends_the_past', () => {
  const log = filled(3);
  assert.ok(!timeline.tail(at(log, 3), [], true).more);
});

test('history_newer_than_the_position_waits_for_its_events_p3', () => {
  const log = filled(4);
  const state = timeline.tail(at(log, 2), log.messagesBelow(Infinity, 9).messages, false);
  assert.deepEqual(seqs(state), [1, 2]);
});

test('a_join_with_the_cursor_held_keeps_what_is_there_and_another_starts_anew_p4', () => {
  const log = filled(3);
  const state = timeline.tail(at(log, 3), log.messagesBelow(Infinity, 9).messages, false);
  assert.deepEqual(seqs(timeline.joined(state, parseCursor(log.head()), [], true)), [1, 2, 3]);
  assert.deepEqual(seqs(timeline.joined(state, parseCursor('deadbeef:9'), [], true)), []);
  assert.deepEqual(seqs(timeline.joined(state, parseCursor('deadbeef:3'), [], true)), [], 'the same seq of another log');
});

test('the_cursors_that_are_remembered_are_bounded_p8', () => {
  const log = filled(200);
  let state = at(log, 0);
  for (const event of log.events) state = timeline.event(state, read(event)).timeline;
  assert.deepEqual([state.recent.size, [...state.recent.keys()].at(-1)], [64, 200]);
});

test('what_is_kept_early_is_bounded_and_the_lowest_p8', () => {
  const log = filled(300);
  let state = at(log, 1);
  for (const event of log.events.slice(2).reverse()) state = timeline.event(state, read(event)).timeline;
  assert.deepEqual([state.pending.length, state.pending[0].seq, state.want], [64, 3, 300]);
  assert.equal(heal(log, state, 50).state.position.seq, 300);
});

test('whatever_is_dropped_repeated_and_reordered_each_event_comes_once_and_in_order_p3', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const roll = dice(seed);
    const log = filled(Math.floor(roll() * 5));
    const start = Math.floor(roll() * (log.events.length + 1));
    let state = at(log, start);
    const delivered = [];
    const wire = [];
    const take = (step) => { state = step.timeline; delivered.push(...step.delivered.map(({ seq }) => seq)); };
    for (let turn = 0; turn < 60; turn += 1) {
      if (roll() < 0.6) wire.push(log.append(ADA, 'x'));
      if (roll() < 0.3 && wire.length > 0) wire.splice(Math.floor(roll() * wire.length), 1);
      if (roll() < 0.3 && log.events.length > 0) wire.push(log.events[Math.floor(roll() * log.events.length)]);
      if (roll() < 0.5 && wire.length > 0) take(timeline.event(state, read(wire.splice(Math.floor(roll() * wire.length), 1)[0])));
      if (roll() < 0.2) state = timeline.head(state, parseCursor(log.cursor(start + Math.floor(roll() * (log.events.length - start + 1)))));
      const after = timeline.wanted(state);
      if (after === null || roll() < 0.5) continue;
      const page = log.eventsAfter(after, 1 + Math.floor(roll() * 4));
      state = timeline.asked(state);
      // What arrives while the page is on its way.
      if (roll() < 0.5 && wire.length > 0) take(timeline.event(state, read(wire.shift())));
      if (roll() < 0.2) state = timeline.unanswered(state);
      else take(timeline.page(state, page.events.map(read), page.more));
    }
    const healed = heal(log, timeline.head(state, parseCursor(log.head())));
    const all = [...delivered, ...healed.delivered.map(({ seq }) => seq)];
    assert.deepEqual(all, log.events.slice(start).map(({ seq }) => seq), `seed ${seed}`);
    assert.ok(!healed.state.suspect, `seed ${seed}`);
  }
});
