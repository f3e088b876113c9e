/**
 * A running system for the page: a room service and two gateways, each a process of its own.
 *
 * Owns the processes, their ports and their folder. Promises that all of them are gone after `stop`, also when the tests
 * are interrupted. Given `PARLOUR_TEST_URL` it uses what runs there instead, and then nothing can be killed.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const START_MS = 30_000;

/** Waits shorter than the defaults, so that tests are quick; no rate, so that one can fill a room. */
const SETTINGS = {
  PARLOUR_SEND_RATE: '0', PARLOUR_GRACE_CLOSED_SECONDS: '0.5', PARLOUR_GRACE_BROKEN_SECONDS: '2', PARLOUR_DRAIN_SECONDS: '3',
  PARLOUR_HEARTBEAT_SECONDS: '3',
  PARLOUR_LOG: 'warn', PARLOUR_LOG_FORMAT: 'text',
};

/** Why there is no system to test, or null. */
export function whyNot() {
  const { PARLOUR_TEST_URL: url, PARLOUR_TEST_BIN: folder } = process.env;
  if (url) return null;
  if (!folder) return 'neither PARLOUR_TEST_URL nor PARLOUR_TEST_BIN is set';
  try {
    for (const name of ['parlour-room', 'parlour-gateway']) accessSync(join(folder, name));
    return null;
  } catch (error) {
    return `a program is missing: ${error.message}`;
  }
}

export class System {
  #processes = new Map();
  #folder = null;
  #ports = {};

  /** Starts it, or finds the one there is. */
  static async start() {
    const system = new System();
    if (process.env.PARLOUR_TEST_URL) {
      system.url = system.otherUrl = process.env.PARLOUR_TEST_URL.replace(/\/$/, '');
      return system;
    }
    const [room, roomAdmin, first, firstAdmin, second, secondAdmin] = await freePorts(6);
    system.#ports = { room, roomAdmin, gateways: { first: [first, firstAdmin], second: [second, secondAdmin] } };
    system.url = `http://127.0.0.1:${first}`;
    system.otherUrl = `http://127.0.0.1:${second}`;
    system.#folder = mkdtempSync(join(tmpdir(), 'parlour-page-'));
    process.once('exit', () => system.#abandon());
    try {
      await system.startRoom();
      await Promise.all([system.startGateway('first'), system.startGateway('second')]);
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  /** Whether its processes are ours to end. */
  get isOurs() {
    return this.#folder !== null;
  }

  /** Starts the room service at its address, over the store it had, unless it runs. */
  async startRoom() {
    if (this.#processes.has('room')) return;
    const { room, roomAdmin } = this.#ports;
    await this.#run('room', 'parlour-room', roomAdmin, { PARLOUR_ROOM_LISTEN: `127.0.0.1:${room}`, PARLOUR_STORE: `sqlite:${join(this.#folder, 'parlour.db')}` });
  }

  /** Starts a gateway at its address, `first` or `second`, unless it runs. */
  async startGateway(which) {
    if (this.#processes.has(which)) return;
    const [port, admin] = this.#ports.gateways[which];
    await this.#run(which, 'parlour-gateway', admin, { PARLOUR_GATEWAY_LISTEN: `127.0.0.1:${port}`, PARLOUR_ROOM_URL: `http://127.0.0.1:${this.#ports.room}` });
  }

  /** Ends a process and waits until it is gone. */
  async end(which, signal = 'SIGTERM') {
    const child = this.#processes.get(which);
    this.#processes.delete(which);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  /** Sends a process a signal that does not end it. */
  signal(which, signal) {
    this.#processes.get(which)?.kill(signal);
  }

  /** Ends everything. */
  async stop() {
    await Promise.all([this.end('first', 'SIGKILL'), this.end('second', 'SIGKILL')]);
    await this.end('room');
    this.#abandon();
  }

  async #run(which, program, admin, settings) {
    const env = { ...process.env, ...SETTINGS, ...settings, PARLOUR_ADMIN_LISTEN: `127.0.0.1:${admin}` };
    for (const name of Object.keys(env)) if (name.startsWith('PARLOUR_TEST_')) delete env[name];
    const child = spawn(join(process.env.PARLOUR_TEST_BIN, program), { env, stdio: ['ignore', 'inherit', 'inherit'], cwd: this.#folder });
    this.#processes.set(which, child);
    const until = Date.now() + START_MS;
    while (!(await isReady(admin))) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${program} ended at once`);
      if (Date.now() > until) throw new Error(`${program} was not ready within ${START_MS} ms`);
      await pause(50); // another process has no event of ours to wait for
    }
  }

  #abandon() {
    for (const child of this.#processes.values()) child.kill('SIGKILL');
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function isReady(port) {
  const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
  return response?.ok === true;
}

/** Ports that were free a moment ago; a gateway that is restarted has to come back at the same one. */
async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  }));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
