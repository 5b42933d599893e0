// @ts-check

/** A reason not to go on that a person can act on: one sentence, and what to do about it. Ends the launcher without a stack trace. */
export class Stop extends Error {
  /**
   * @param {string} sentence what is wrong
   * @param {string} [remedy] what to do
   * @param {number} [exitCode] 78 is for mistakes in the configuration (EX_CONFIG of sysexits.h)
   */
  constructor(sentence, remedy = '', exitCode = 1) {
    super(remedy ? `${sentence} ${remedy}` : sentence);
    this.exitCode = exitCode;
  }
}

export const USE_EXTERNAL = 'Set DATABASE_URL to a PostgreSQL 15 or later of your own.';

/**
 * Turns what the operating system says into a sentence; anything unknown passes through unchanged.
 * @param {unknown} error
 * @param {string} path the file or directory that was being worked on
 * @returns {unknown}
 */
export function explain(error, path) {
  switch (codeOf(error)) {
    case 'ENOENT':
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return new Stop(
        `The directory ${path} cannot be written by this user.`,
        'Make it writable, or set CONCORDAT_HOME to a directory that is.',
      );
    case 'ENOSPC':
    case 'EDQUOT':
      return diskFull(path);
    case 'ENOTDIR':
    case 'EEXIST':
      return new Stop(
        `${path} is in the way: it is not a directory.`,
        'Move it away, or set CONCORDAT_HOME elsewhere.',
      );
    default:
      return error;
  }
}

/** @param {string} path */
export function diskFull(path) {
  return new Stop(
    `There is not enough free space on the disk that holds ${path}.`,
    'Free at least 200 MB, or set CONCORDAT_HOME to a directory on another disk.',
  );
}

/** @param {unknown} error @returns {string | undefined} the system's error code, such as ENOENT */
export function codeOf(error) {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
