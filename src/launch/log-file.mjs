// @ts-check
import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';

const MAX_BYTES = 20 * 1024 * 1024;
const TAIL_LENGTH = 4_000;

/**
 * @typedef {object} LogFile
 * @property {string} path
 * @property {(text: string) => void} write
 * @property {() => string} tail the last that was written
 */

/**
 * A log of bounded size: at 20 MB it moves to `.1`, over the one before. Writes at once: what a process says last before it
 * dies is what one needs to read. A full disk loses lines, not the launcher.
 * @param {string} home
 * @param {string} name
 * @returns {LogFile}
 */
export function openLog(home, name) {
  const folder = join(home, 'logs');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${name}.log`);
  const isEchoed = process.env['CONCORDAT_LOGS'] === 'stdout';
  let size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  let tail = '';
  return {
    path,
    tail: () => tail,
    write(text) {
      tail = (tail + text).slice(-TAIL_LENGTH);
      if (isEchoed) process.stdout.write(text);
      try {
        if (size > MAX_BYTES) {
          renameSync(path, `${path}.1`);
          size = 0;
        }
        appendFileSync(path, text, { mode: 0o600 });
        size += Buffer.byteLength(text);
      } catch {
        // See above.
      }
    },
  };
}
