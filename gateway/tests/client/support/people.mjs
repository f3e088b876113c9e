/**
 * People at browsers.
 *
 * Owns the browser and what its users do and see. Promises to wait for what is on the page, never for time, and to
 * remember what a console complained of. Uses the page as people do: by its labels and its keys.
 */

import { accessSync } from 'node:fs';

import { chromium } from 'playwright-core';

const CHROMIUM = process.env.PARLOUR_TEST_CHROMIUM ?? '/usr/bin/chromium';
const QUIET = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
const WITHIN_MS = 15_000;

/** What a console says of a server that is not there. */
export const UNREACHABLE = /ERR_CONNECTION_|ERR_INTERNET_DISCONNECTED|ERR_SOCKET_NOT_CONNECTED|WebSocket connection to/;

/** Why there is no browser, or null. */
export function whyNoBrowser() {
  try {
    accessSync(CHROMIUM);
    return null;
  } catch {
    return `there is no ${CHROMIUM}`;
  }
}

export function openBrowser() {
  // Root may have no sandbox, other users not on every kernel, and the pages are our own.
  return chromium.launch({ executablePath: CHROMIUM, args: QUIET, chromiumSandbox: false });
}

export class Person {
  complaints = [];

  /** Someone opens the page for the first time and says their name. */
  static async comes(browser, url, name, { width = 1400, height = 900, scheme = 'light', prepare = null } = {}) {
    const person = new Person();
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: 'reduce', baseURL: url });
    context.setDefaultTimeout(WITHIN_MS);
    person.context = context;
    if (prepare) await prepare(context);
    await person.opensTab();
    await person.page.goto('/');
    if (name !== null) await person.isCalled(name);
    return person;
  }

  /** The same person, in another tab of the same browser. */
  async alsoOpens(path) {
    const other = new Person();
    other.context = this.context;
    other.complaints = this.complaints;
    await other.opensTab();
    await other.page.goto(path);
    return other;
  }

  /** Opens a tab, in place of the one there is. */
  async opensTab() {
    this.page = await this.context.newPage();
    this.page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text()); });
    this.page.on('pageerror', (error) => this.complaints.push(error.stack));
  }

  /** Such complaints were to be expected. */
  excuses(pattern) {
    this.complaints = this.complaints.filter((text) => !pattern.test(text));
  }

  async isCalled(name) {
    await this.page.getByLabel('Your name', { exact: true }).fill(name);
    await this.page.keyboard.press('Enter');
    await this.isLive();
  }

  async isLive() {
    await this.page.locator('html[data-link="live"]').waitFor();
  }

  async enters(room) {
    await this.page.goto(`/room/${room}`);
    await this.isInside();
  }

  /** Waits until the log stands there. */
  async isInside() {
    await this.page.locator('#log:not([aria-busy])').waitFor();
  }

  async says(text) {
    await this.field.fill(text);
    await this.page.keyboard.press('Enter');
  }

  async hears(text) {
    await this.message(text).first().waitFor();
  }

  async sees(text) {
    await this.page.getByText(text).first().waitFor();
  }

  /** Waits until no such text is there any more. */
  async seesNoMore(text) {
    await this.page.getByText(text).first().waitFor({ state: 'detached' });
  }

  /** Waits until so many messages are waiting for the connection. */
  async isWaitingWith(count) {
    await this.page.locator('.message[data-state="waiting"]', { hasText: 'Waiting for the connection…' }).nth(count - 1).waitFor();
  }

  get field() {
    return this.page.getByRole('textbox', { name: 'Your message' });
  }

  get log() {
    return this.page.getByRole('log');
  }

  message(text) {
    return this.page.locator('.message[data-state="logged"] .bubble', { hasText: text });
  }

  /** All that stands in the log, in order. */
  texts() {
    return this.page.locator('.message .bubble').allTextContents();
  }

  async leaves() {
    await this.context.close();
  }
}
