import { hash, verify } from '@node-rs/argon2';
import { AppError } from '../../platform/errors.js';

/** OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane (the library's own algorithm is argon2id). */
const PARAMETERS = { memoryCost: 19456, timeCost: 2, parallelism: 1 } as const;

const SHORTEST = 12;
const LONGEST = 200;

/** Hashes take 19 MiB each: a flood of sign-ins waits in line rather than in memory. */
const AT_ONCE = 4;

/** A PHC string. Refuses what is too short to be safe or too long to be meant. */
export function hashPassword(password: string, field: string): Promise<string> {
  const length = [...password].length;
  if (length < SHORTEST || length > LONGEST)
    throw new AppError('INVALID_INPUT', `A password has ${SHORTEST} to ${LONGEST} characters.`, { field });
  return inLine(() => hash(password.normalize('NFKC'), PARAMETERS));
}

/**
 * Whether the password is the one behind the hash. Without a hash (no such account) it takes the same time and says no.
 */
export async function isPassword(password: string, phc: string | null): Promise<boolean> {
  const against = phc ?? (await nobody());
  const same = await inLine(() => verify(against, password.slice(0, 4 * LONGEST).normalize('NFKC')));
  return same && phc !== null;
}

let nobodys: Promise<string> | undefined;
/** The hash that is compared with when there is no account. */
export function nobody(): Promise<string> {
  return (nobodys ??= hash('nobody has this password', PARAMETERS));
}

let running = 0;
const waiting: (() => void)[] = [];
async function inLine<T>(work: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((go) => waiting.push(go));
  else running++;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}
