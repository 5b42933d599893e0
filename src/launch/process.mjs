// @ts-check
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

// Runs a command beside a `cat` on our end of a pipe. However this process ends, kill -9 included, the kernel closes the
// pipe, `cat` returns and the command is told to stop, then made to. The loops poll rather than sleep once, so that no
// `sleep` outlives the command. File descriptor 3 keeps the pipe because a shell gives /dev/null to background commands.
const TETHER = `
signal=$1; shift
exec 3<&0
"$@" 3<&- </dev/null &
child=$!
(
  cat <&3
  for step in "$signal" QUIT KILL; do
    kill -"$step" $child || exit
    left=100
    while [ $left -gt 0 ] && kill -0 $child; do sleep 0.1; left=$((left - 1)); done
  done
) >/dev/null 2>&1 &
watchdog=$!
exec 3<&-
wait $child
status=$?
kill $watchdog 2>/dev/null
exit $status`;

/**
 * Starts a program that never outlives this process. Ending its stdin stops it: first by `signal`, after 10 s by force.
 * @param {string} command
 * @param {string[]} args
 * @param {{ signal?: string, env?: NodeJS.ProcessEnv, cwd?: string, uid?: number, gid?: number, output?: 'inherit' | 'pipe' }} [options]
 */
export function spawnTethered(command, args, { signal = 'TERM', output = 'pipe', ...options } = {}) {
  // A session of its own: Ctrl-C in the terminal must reach only the launcher, which stops things in the right order.
  const child = spawn('/bin/sh', ['-c', TETHER, 'tether', signal, command, ...args], {
    ...options,
    stdio: ['pipe', output, output],
    detached: true,
  });
  child.stdin?.on('error', () => {}); // EPIPE when it is gone already
  return child;
}

/**
 * Runs a tethered program to its end.
 * @param {string} command
 * @param {string[]} args
 * @param {Parameters<typeof spawnTethered>[2]} [options]
 * @returns {Promise<{ status: number, stdout: string, stderr: string }>} output is empty when inherited
 */
export async function run(command, args, options) {
  const child = spawnTethered(command, args, options);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text) => (stderr += text));
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      child.stdin?.destroy();
      resolve({ status: code ?? 1, stdout, stderr });
    });
  });
}

/**
 * The living processes whose working directory is this one: for a PostgreSQL data directory, the server and its backends.
 * @param {string} directory a real path
 */
export function processesIn(directory) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`) === directory && !isZombie(pid);
      } catch {
        return false; // gone, or another user's
      }
    });
}

/** @param {number} pid */
function isZombie(pid) {
  return statOf(pid)?.[0] === 'Z';
}

/**
 * The fields of /proc/<pid>/stat from the third on (the second, the name, may contain anything).
 * @param {number} pid
 */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/**
 * Tells one process from a later one with the same number.
 * @param {number} pid
 */
function identity(pid) {
  const start = statOf(pid)?.[19];
  return start && `${pid}@${start}`;
}

/**
 * Calls `gone` when npm, which started us, dies without passing a signal on (kill -9): Concordat must not linger unseen.
 * Started by hand instead, Concordat may outlive its shell.
 * @param {() => void} gone
 */
export function watchNpm(gone) {
  if (!process.env['npm_lifecycle_event']) return;
  const watched = [process.ppid];
  const grandparent = Number(statOf(process.ppid)?.[1]);
  if (/^(ba|da)?sh$/.test(nameOf(process.ppid)) && grandparent > 1) watched.push(grandparent);
  const identities = watched.map((pid) => ({ pid, id: identity(pid) })).filter(({ id }) => id);
  setInterval(() => {
    if (identities.some(({ pid, id }) => identity(pid) !== id)) gone();
  }, 500).unref();
}

/** @param {number} pid */
function nameOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

/**
 * @param {() => boolean} condition
 * @param {number} timeoutMs
 * @returns {Promise<boolean>} whether it came true in time
 */
export async function until(condition, timeoutMs) {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}
