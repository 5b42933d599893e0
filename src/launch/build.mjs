// @ts-check
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { readIfThere } from './home.mjs';
import { waitForLock } from './lock.mjs';
import { run } from './process.mjs';
import { explain, Stop } from './stop.mjs';

const FOLDERS = ['src', 'workers', 'migrations'];
const COMPILED = new Set(['.ts', '.tsx', '.mts']);
/** Read at run time from beside the code that uses them. */
const COPIED = new Set(['.html', '.css', '.svg', '.sql', '.json', '.wasm']);

/**
 * Compiles to dist/ when a source changed since the last time.
 * @param {string} root the project's directory
 * @param {(text: string) => void} say
 * @throws {Stop} with the compiler's words
 */
export async function ensureBuilt(root, say) {
  if (isBuilt(root)) return;
  const lock = await waitForLock(root, 'project', ({ pid }) =>
    say(`Waiting for process ${pid}, which is building here …`),
  );
  try {
    if (!isBuilt(root)) await build(root, say);
  } catch (error) {
    throw explain(error, root);
  } finally {
    await lock.release();
  }
}

/** @param {string} root */
const stampFile = (root) => join(root, 'dist', '.concordat-built');

/** @param {string} root */
function isBuilt(root) {
  const sources = listSources(root);
  return (
    readIfThere(stampFile(root))?.trim() === fingerprint(root, sources) &&
    sources.every((path) => existsSync(output(root, path)))
  );
}

/**
 * @param {string} root
 * @param {(text: string) => void} say
 */
async function build(root, say) {
  const sources = listSources(root);
  const print = fingerprint(root, sources);
  const started = Date.now();
  say('Building …');
  rmSync(stampFile(root), { force: true });
  removeStale(root, sources);
  // The compiler's own record would make it skip outputs that somebody deleted.
  if (!sources.every((path) => existsSync(output(root, path))))
    rmSync(join(root, 'dist', '.tsbuildinfo'), { force: true });
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status, stdout, stderr } = await run(process.execPath, [tsc, '-p', 'tsconfig.json'], { cwd: root });
  if (status !== 0) throw new Stop(`The sources do not compile:\n${(stdout + stderr).trim()}`);
  for (const path of sources.filter((path) => COPIED.has(extname(path)))) {
    mkdirSync(dirname(output(root, path)), { recursive: true });
    copyFileSync(join(root, path), output(root, path));
  }
  writeFileSync(stampFile(root), `${print}\n`);
  say(`Built in ${((Date.now() - started) / 1000).toFixed(1)} s.`);
}

/**
 * @param {string} root
 * @returns {string[]} relative paths of all that has a counterpart in dist/
 */
function listSources(root) {
  return FOLDERS.flatMap((folder) => walk(root, folder)).filter(
    (path) =>
      (COMPILED.has(extname(path)) && !path.endsWith('.d.ts') && !path.startsWith('src/ml/kernels/')) ||
      COPIED.has(extname(path)),
  );
}

/**
 * @param {string} root
 * @param {string} folder
 */
function walk(root, folder) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

/** @param {string} root @param {string} path */
function output(root, path) {
  return join(root, 'dist', COMPILED.has(extname(path)) ? path.replace(/\.(m?)tsx?$/, '.$1js') : path);
}

/**
 * Changes when any input of the compiler does. Size and time of a file stand for its content: hashing would take longer than all else.
 * @param {string} root
 * @param {string[]} sources
 */
function fingerprint(root, sources) {
  const hash = createHash('sha256');
  for (const path of [...sources, 'tsconfig.json', 'package-lock.json']) {
    const { size, mtimeMs } = statSync(join(root, path));
    hash.update(`${path}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/**
 * Removes outputs whose source is gone: a migration that was renamed must not run under its old name too.
 * @param {string} root
 * @param {string[]} sources
 */
function removeStale(root, sources) {
  const wanted = new Set(sources.map((path) => output(root, path)));
  for (const path of FOLDERS.flatMap((folder) => walk(root, join('dist', folder)))) {
    const code = join(root, path.replace(/\.map$/, ''));
    if (!wanted.has(code) && !path.startsWith('dist/src/launch/')) rmSync(join(root, path));
  }
}
