import type { App } from '../app.js';
import { MIGRATIONS } from '../migrate.js';

/** Whether the database answers, and is of this version. */
export async function isReady(app: App): Promise<boolean> {
  try {
    const [found] = await app.db.app.query<{ name: string | null }[]>(
      `select name from migration order by id desc limit 1`,
    );
    return found?.name === MIGRATIONS.at(-1)?.name;
  } catch {
    return false;
  }
}
