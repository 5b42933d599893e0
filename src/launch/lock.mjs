// @ts-check
import { createHash } from 'node:crypto';
import { statSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from './stop.mjs';

/**
 * @typedef {object} Lock
 * @property {(note: Note) => void} note tells whoever asks what the holder does
 * @property {() => Promise<void>} release
 * @typedef {{ pid: number, url?: string }} Note
 */

/**
 * An exclusive lock on a directory, whatever path leads to it. It is a listening socket in Linux's abstract namespace: the
 * kernel drops it with the process, so kill -9 leaves nothing stale behind, and there is no race in taking it over.
 * @param {string} directory
 * @param {string} purpose
 * @returns {Promise<Lock | Note>} the lock, or what its holder says of itself
 */
export async function takeLock(directory, purpose) {
  const { dev, ino } = statSync(directory);
  const key = createHash('sha256').update(`${purpose}:${dev}:${ino}`).digest('hex').slice(0, 24);
  const address = process.platform === 'linux' ? `\0concordat-${key}` : join(tmpdir(), `concordat-${key}.sock`);
  for (let attempt = 0; ; attempt++) {
    try {
      return await listen(address);
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE') throw error;
    }
    const holder = await ask(address);
    if (holder) return holder;
    if (attempt === 3) return { pid: 0 };
    if (process.platform !== 'linux') rmSync(address, { force: true }); // nobody listens on the file any more
    await sleep(50);
  }
}

/**
 * Waits for the lock.
 * @param {string} directory
 * @param {string} purpose
 * @param {(holder: Note) => void} onWait called once when somebody else holds it
 * @returns {Promise<Lock>}
 */
export async function waitForLock(directory, purpose, onWait) {
  for (let waited = false; ; waited = true) {
    const lock = await takeLock(directory, purpose);
    if ('release' in lock) return lock;
    if (!waited) onWait(lock);
    await sleep(300);
  }
}

/** @param {string} address @returns {Promise<Lock>} */
function listen(address) {
  /** @type {Note} */
  let note = { pid: process.pid };
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(JSON.stringify(note));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.unref();
      resolve({
        note: (next) => (note = next),
        release: () => new Promise((done) => server.close(() => done())),
      });
    });
  });
}

/** @param {string} address @returns {Promise<Note | undefined>} undefined when nobody answers */
function ask(address) {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(address);
    socket.setTimeout(2_000, () => socket.destroy());
    socket.setEncoding('utf8').on('data', (part) => (text += part));
    socket.on('error', () => {});
    socket.on('close', () => {
      try {
        resolve(JSON.parse(text));
      } catch {
        resolve(undefined);
      }
    });
  });
}
