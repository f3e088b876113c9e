import assert from 'node:assert/strict';

import { UNREACHABLE } from './support/people.mjs';
import { comes, room, say, shoot, story, system, violations } from './support/stories.mjs';

/** The way from a browser to `/chat`, in hand: it can be cut, and single frames be lost on it. */
class Way {
  isCut = false;
  opened = 0;
  /** Whether a frame of the server's is lost. */
  loses = () => false;
  #sockets = new Set();

  /** To be laid before the first page opens. */
  prepare = (context) => context.routeWebSocket(/\/chat$/, (socket) => {
    if (this.isCut) return socket.close({ code: 1001 });
    this.opened += 1;
    this.#sockets.add(socket);
    const server = socket.connectToServer();
    server.onMessage((text) => { if (!this.loses(JSON.parse(text))) socket.send(text); });
  });

  async cut() {
    this.isCut = true;
    await Promise.all([...this.#sockets].map((socket) => socket.close({ code: 1001 }).catch(() => {})));
    this.#sockets.clear();
  }

  mend() {
    this.isCut = false;
  }
}

async function everybodySees(people, texts) {
  for (const person of people) {
    await person.hears(texts.at(-1));
    await person.page.waitForFunction((count) => document.querySelectorAll('.message[data-state="logged"]').length === count, texts.length);
    assert.deepEqual(await person.texts(), texts);
  }
}

story('what_is_typed_offline_is_sent_by_the_next_page_in_order_and_once_p5', async () => {
  const place = await room();
  const [ada, bob] = [await comes('Ada'), await comes('Bob')];
  await ada.enters(place);
  await bob.enters(place);
  await ada.context.setOffline(true);
  await ada.page.locator('html:not([data-link="live"])').waitFor();
  const said = ['one', 'two', 'three'];
  for (const text of said) await ada.says(text);
  await ada.isWaitingWith(3);
  await ada.page.close();
  await ada.context.setOffline(false);
  assert.deepEqual(await bob.texts(), []);
  await ada.opensTab();
  await ada.page.goto(`/room/${place}`);
  await everybodySees([ada, bob], said);
  await ada.page.reload();
  await everybodySees([ada], said);
  ada.excuses(UNREACHABLE);
});

story('what_waits_is_kept_over_reloads_and_sent_before_what_is_typed_after_them_p5', async () => {
  const way = new Way();
  const place = await room();
  const ada = await comes('Ada', { prepare: way.prepare });
  await ada.enters(place);
  await ada.says('before');
  await ada.hears('before');
  await way.cut();
  await ada.page.locator('html:not([data-link="live"])').waitFor();
  await ada.says('first');
  await ada.says('second');
  await ada.isWaitingWith(2);
  for (let reloads = 0; reloads < 2; reloads += 1) {
    await ada.page.reload();
    await ada.isWaitingWith(2);
    assert.deepEqual(await ada.texts(), ['first', 'second']);
  }
  await ada.says('third');
  way.mend();
  await everybodySees([ada], ['before', 'first', 'second', 'third']);
  ada.excuses(UNREACHABLE);
});

story('what_is_typed_while_a_gateway_hangs_and_dies_is_sent_in_order_and_once_p5_p10', async (context) => {
  if (!system.isOurs) return context.skip('PARLOUR_TEST_URL: its processes are not ours to end');
  context.after(() => system.startGateway('first')); // also where this story ends badly: others need it
  const place = await room();
  const [ada, bob] = [await comes('Ada'), await comes('Bob', { url: system.otherUrl })];
  await ada.enters(place);
  await bob.enters(place);
  system.signal('first', 'SIGSTOP');
  await ada.says('one');
  await ada.page.locator('.message[data-state="sent"]', { hasText: 'Sending…' }).waitFor();
  await ada.says('two');
  await system.end('first', 'SIGKILL');
  await ada.says('three');
  await ada.isWaitingWith(3);
  await system.startGateway('first');
  await everybodySees([ada, bob], ['one', 'two', 'three']);
  ada.excuses(UNREACHABLE);
});

story('what_is_typed_while_the_room_service_is_away_is_sent_in_order_and_once_p5_p10', async (context) => {
  if (!system.isOurs) return context.skip('PARLOUR_TEST_URL: its processes are not ours to end');
  context.after(() => system.startRoom()); // also where this story ends badly: others need it
  const place = await room();
  const [ada, bob] = [await comes('Ada'), await comes('Bob', { url: system.otherUrl })];
  await ada.enters(place);
  await bob.enters(place);
  await system.end('room', 'SIGKILL');
  for (const text of ['one', 'two', 'three']) await ada.says(text);
  await ada.page.locator('.message[data-state="waiting"]').nth(1).waitFor();
  await system.startRoom();
  await everybodySees([ada, bob], ['one', 'two', 'three']);
  ada.excuses(/50[234]/); // the list of rooms, which is read meanwhile
});

story('two_tabs_each_send_their_own_and_inherit_from_the_one_that_is_closed_p5', async () => {
  const way = new Way();
  const place = await room();
  const ada = await comes('Ada', { prepare: way.prepare });
  await ada.enters(place);
  const other = await ada.alsoOpens(`/room/${place}`);
  await other.isInside();
  await way.cut();
  for (const tab of [ada, other]) await tab.page.locator('html:not([data-link="live"])').waitFor();
  await ada.says('one, here');
  await ada.says('two, here');
  await other.says('one, there');
  await ada.isWaitingWith(2);
  await other.isWaitingWith(1);
  way.mend();
  const sorted = async (tab) => (await tab.texts()).toSorted();
  for (const tab of [ada, other]) {
    for (const text of ['one, here', 'two, here', 'one, there']) await tab.hears(text);
    assert.deepEqual(await sorted(tab), ['one, here', 'one, there', 'two, here']);
  }
  const whole = await other.texts();
  assert.deepEqual(await ada.texts(), whole);
  assert.ok(whole.indexOf('one, here') < whole.indexOf('two, here'));

  await way.cut();
  for (const tab of [ada, other]) await tab.page.locator('html:not([data-link="live"])').waitFor();
  await ada.says('three, here');
  await ada.says('four, here');
  await ada.isWaitingWith(2);
  await ada.page.close();
  way.mend();
  await everybodySees([other], [...whole, 'three, here', 'four, here']);
  other.excuses(UNREACHABLE);
  ada.complaints = other.complaints;
});

story('a_message_that_failed_is_still_there_after_a_reload_and_can_be_written_anew_p11', async () => {
  const ada = await comes('Ada');
  await ada.enters(await room());
  await ada.says('a\u0000b');
  const failed = ada.page.locator('.message[data-state="failed"]');
  await failed.waitFor();
  await ada.says('fine');
  await ada.hears('fine');
  await ada.page.reload();
  await ada.hears('fine');
  await failed.getByText('Not sent: ').waitFor();
  await failed.getByRole('button', { name: 'Edit' }).click();
  await failed.waitFor({ state: 'detached' });
  assert.equal(await ada.field.inputValue(), 'a\u0000b');
  await ada.page.locator('#composer-text:focus').waitFor();
  await ada.says('better');
  await ada.hears('better');
  await ada.page.reload();
  await ada.hears('better');
  assert.deepEqual(await ada.texts(), ['fine', 'better']);
});

story('a_browser_that_keeps_nothing_says_so_while_something_waits', async () => {
  const way = new Way();
  const forbid = (context) => context.addInitScript(() => Object.defineProperty(globalThis, 'indexedDB', { get() { throw new DOMException('not here', 'SecurityError'); } }));
  const ada = await comes('Ada', { prepare: async (context) => { await forbid(context); await way.prepare(context); } });
  await ada.enters(await room());
  await way.cut();
  await ada.page.locator('html:not([data-link="live"])').waitFor();
  await ada.says('fleeting');
  await ada.sees('This browser cannot keep what waits to be sent');
  way.mend();
  await ada.hears('fleeting');
  await ada.seesNoMore('This browser cannot keep what waits to be sent');
  ada.excuses(UNREACHABLE);
});

story('what_a_socket_loses_is_read_from_the_log_at_once_and_the_socket_stays_p3', async () => {
  const way = new Way();
  const place = await room();
  const ada = await comes('Ada', { prepare: way.prepare });
  await ada.enters(place);
  const opened = way.opened;
  const found = (count) => ada.page.locator(`html[data-gaps-found="${count}"]:not([data-gaps-open])`).waitFor();
  way.loses = ({ type, data }) => type === 'message' && data.content.startsWith('lost');
  await say(place, 'heard');
  await say(place, 'lost on the way');
  await say(place, 'heard again');
  await ada.hears('heard again');
  await found(1);
  // The last one of all: nothing follows it but the heads of a heartbeat.
  await say(place, 'lost at the end');
  await ada.hears('lost at the end');
  await found(2);
  assert.deepEqual(await ada.texts(), ['heard', 'lost on the way', 'heard again', 'lost at the end']);
  assert.equal(way.opened, opened);
});

for (const scheme of ['light', 'dark']) {
  for (const width of [380, 1400]) {
    story(`here_is_how_what_waits_and_what_failed_look_in_${scheme}_at_${width}_px`, async () => {
      const way = new Way();
      const place = await room('The tea room', 'Kettle, cups and whatever comes up');
      await say(place, 'Who is bringing the scones?', 'Chiamaka Obi');
      const ada = await comes('Ada Lovelace', { scheme, width, height: width === 380 ? 780 : 900, prepare: way.prepare });
      await ada.enters(place);
      await ada.says('I will bring the good cups.');
      await ada.hears('good cups');
      await ada.says('Lemon\u0000cake');
      await ada.page.locator('.message[data-state="failed"]').waitFor();
      await way.cut();
      await ada.says('And there is jam, three jars of it, from the neighbour who never finishes any.');
      await ada.says('Are you there?');
      await ada.isWaitingWith(2);
      await ada.page.getByRole('status').getByText(/Trying again/).waitFor();
      await shoot(ada, `waiting-${scheme}-${width}`);
      assert.deepEqual(await violations(ada), []);
      ada.excuses(UNREACHABLE);
    });
  }
}
