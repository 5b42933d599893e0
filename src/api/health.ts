import { statfs } from 'node:fs/promises';
import type { App } from '../app.js';
import { MIGRATIONS } from '../migrate.js';

/** With less it can record nothing for long, and what cannot be recorded is not answered. */
const FREE_BYTES = 50 * 2 ** 20;

/** Why it cannot work, in a few words: the disk, or a database that does not answer or is of another version. Null if it can. */
export async function unreadiness(app: App, freeBytes = FREE_BYTES): Promise<string | null> {
  try {
    const { bavail, bsize } = await statfs(app.config.home);
    if (bavail * bsize < freeBytes) return 'no space on the disk';
    const [found] = await app.db.app.query<{ name: string | null }[]>(
      `select name from migration order by id desc limit 1`,
    );
    return found?.name === MIGRATIONS.at(-1)?.name ? null : 'database of another version';
  } catch {
    return 'no answer from disk or database';
  }
}
