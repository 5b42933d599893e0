// @ts-check
import { existsSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { waitForLock } from './lock.mjs';
import { readIfThere } from './home.mjs';
import { run } from './process.mjs';
import { explain, Stop } from './stop.mjs';

/** What node_modules takes when it is new, measured, and some room for npm to work in. */
const NEEDED_MB = 700;

/**
 * Installs exactly what package-lock.json names, unless that is what is there.
 * @param {string} root the project's directory
 * @param {(text: string) => void} say
 * @throws {Stop} when the registry cannot be reached, or the directory not be written
 */
export async function ensureInstalled(root, say) {
  if (isInstalled(root)) return;
  const lock = await waitForLock(root, 'project', ({ pid }) =>
    say(`Waiting for process ${pid}, which is installing here …`),
  );
  try {
    if (!isInstalled(root)) await install(root, say); // whom we waited for may have done it
  } finally {
    await lock.release();
  }
}

/**
 * npm writes what it installed as its last step, in the shape of package-lock.json: an install that was cut off, or is of
 * before an update, shows there. Optional packages are for some platform; if it is this one, they are there.
 * @param {string} root
 */
function isInstalled(root) {
  const installed = readPackages(join(root, 'node_modules', '.package-lock.json'));
  return Object.entries(readPackages(join(root, 'package-lock.json'))).every(
    ([path, { version, optional, devOptional }]) => {
      const found = installed[path];
      return path === '' || (found ? found.version === version : (optional ?? devOptional));
    },
  );
}

/**
 * @param {string} file
 * @returns {Record<string, { version?: string, optional?: boolean, devOptional?: boolean }>} by path; none without the file
 */
function readPackages(file) {
  return JSON.parse(readIfThere(file) ?? '{}').packages ?? {};
}

/**
 * @param {string} root
 * @param {(text: string) => void} say
 */
async function install(root, say) {
  const { bavail, bsize } = statfsSync(root);
  const isFirst = !existsSync(join(root, 'node_modules', '.package-lock.json')); // else npm frees as much before
  if (isFirst && bavail * bsize < NEEDED_MB * 2 ** 20) throw installDiskFull(root);
  const total = topLevelCount(root);
  const started = Date.now();
  say(`Installing ${total} packages (once; a minute or two) …`);
  const ticker = setInterval(() => {
    const count = countInstalled(root);
    say(
      `  ${Math.round((Date.now() - started) / 1000)} s: ${count ? `${Math.min(count, total)} of ${total} packages in place` : 'fetching'}`,
    );
  }, 15_000);
  const npm = process.env['npm_execpath'] ?? '';
  const [command, first] = npm.endsWith('npm-cli.js') ? [process.execPath, [npm]] : ['npm', []];
  try {
    const { status, stderr } = await run(
      command,
      [
        ...first,
        'ci',
        '--ignore-scripts',
        '--include=dev',
        '--include=optional',
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
      ],
      {
        cwd: root,
        env: {
          ...process.env,
          ONNXRUNTIME_NODE_INSTALL: 'skip',
          npm_config_fetch_retry_mintimeout: '2000',
          npm_config_fetch_retry_maxtimeout: '10000',
        },
      },
    );
    if (status !== 0) throw installFailed(root, stderr);
  } catch (error) {
    throw explain(error, root);
  } finally {
    clearInterval(ticker);
  }
  say(`Installed in ${Math.round((Date.now() - started) / 1000)} s.`);
}

/** @param {string} root */
function topLevelCount(root) {
  const paths = Object.entries(readPackages(join(root, 'package-lock.json')));
  return paths.filter(([path, { optional }]) => !optional && isTopLevel(path)).length;
}

/**
 * Those whose files are there: npm makes all the directories first.
 * @param {string} root
 */
function countInstalled(root) {
  return Object.keys(readPackages(join(root, 'package-lock.json'))).filter(
    (path) => isTopLevel(path) && existsSync(join(root, path, 'package.json')),
  ).length;
}

/** @param {string} path */
const isTopLevel = (path) => path.split('node_modules/').length === 2;

/** @param {string} root */
const installDiskFull = (root) =>
  new Stop(
    `There is not enough free space on the disk that holds ${root} to install the packages.`,
    `Free at least ${NEEDED_MB} MB, or clone to another disk.`,
  );

/**
 * @param {string} root
 * @param {string} output
 */
function installFailed(root, output) {
  if (/ENOSPC/.test(output)) return installDiskFull(root);
  if (/EROFS|EACCES|EPERM/.test(output)) {
    return new Stop(
      `Packages cannot be installed: ${root} cannot be written by this user.`,
      'Make it writable, or clone elsewhere.',
    );
  }
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|network/i.test(output)) {
    return new Stop(
      'Packages cannot be installed: the npm registry cannot be reached.',
      'Check the network, or name another registry (npm config set registry …), and start again.',
    );
  }
  return new Stop(`Packages cannot be installed; npm says:\n${output.trim().slice(0, 2_000)}`);
}
