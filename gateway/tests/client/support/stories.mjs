/**
 * Stories: tests with people in them, in a system of their own.
 *
 * Owns the browser and the system of a file of tests, from before its first story to after its last. Promises that people
 * leave at the end of their story, and that a story in which a console complained has failed.
 */

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import axe from 'axe-core';

import { openBrowser, Person, whyNoBrowser } from './people.mjs';
import { System, whyNot } from './system.mjs';

const missing = whyNoBrowser() ?? whyNot();
if (missing && process.env.PARLOUR_TEST_REQUIRE) throw new Error(missing);
const skip = missing ?? false;
const shots = process.env.PARLOUR_TEST_SCREENSHOTS;

export let system;
let browser;
let rooms = 0;
let people = [];

before(async () => {
  if (missing) return;
  if (shots) mkdirSync(shots, { recursive: true });
  [system, browser] = await Promise.all([System.start(), openBrowser()]);
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await system?.stop();
});

/** A test with people in it, who leave at its end, and whose consoles had nothing to complain of. */
export function story(name, tell) {
  test(name, { skip, timeout: 90_000 }, async (context) => {
    people = [];
    try {
      await tell(context);
      for (const { complaints } of people) assert.deepEqual(complaints, []);
    } finally {
      await Promise.all(people.map((person) => person.leaves()));
    }
  });
}

export async function comes(name, options = {}) {
  const person = await Person.comes(browser, options.url ?? system.url, name, options);
  people.push(person);
  return person;
}

/** A room of one's own for a test. */
export async function room(title = 'Story', topic = '') {
  const name = `story-${process.pid}-${(rooms += 1)}`;
  const response = await post('/api/rooms', { name, title, topic });
  assert.equal(response.status, 201, await response.text());
  return name;
}

export function post(path, body, url = system.url) {
  return fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
}

export async function say(room, content, username = 'Bob', url = system.url) {
  const response = await post(`/api/rooms/${room}/messages`, { content, username }, url);
  assert.equal(response.status, 201, await response.text());
}

/** What axe finds that is serious. */
export async function violations({ page }) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`);
}

export async function shoot({ page }, name) {
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`) });
}
