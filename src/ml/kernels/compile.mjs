// @ts-check
/**
 * Compiles the kernels: `node src/ml/kernels/compile.mjs` writes kernels.wasm, which is committed, so that whoever only runs
 * the project needs no compiler. A test compiles again and compares the bytes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import asc from 'assemblyscript/asc';

const FOLDER = new URL('.', import.meta.url).pathname;
// Every instance writes the compiler's own tables to memoryBase when it starts, while others work: control.ts keeps that free.
const OPTIONS =
  '-O3 --noAssert --runtime stub --enable simd,threads,bulk-memory --importMemory --sharedMemory --memoryBase 315392 --initialMemory 6 --maximumMemory 65536';

/** @returns {Promise<Uint8Array>} */
export async function compileKernels() {
  /** @type {Map<string, Uint8Array | string>} */
  const written = new Map();
  const { error, stderr } = await asc.main(
    ['index.ts', '--baseDir', FOLDER, '--outFile', 'kernels.wasm', ...OPTIONS.split(' ')],
    {
      readFile: (name, folder) => readIfThere(new URL(name, pathToFileURL(`${folder}/`))),
      writeFile: (name, contents) => void written.set(name, contents),
      listFiles: () => [],
    },
  );
  const wasm = written.get('kernels.wasm');
  if (error !== null || !(wasm instanceof Uint8Array)) throw new Error(stderr.toString(), { cause: error });
  return wasm;
}

/** @param {URL} url */
function readIfThere(url) {
  try {
    return readFileSync(url, 'utf8');
  } catch {
    return null;
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname)
  writeFileSync(new URL('kernels.wasm', import.meta.url), await compileKernels());
