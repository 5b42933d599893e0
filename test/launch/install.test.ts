import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ensureInstalled } from '../../src/launch/install.mjs';
import { temporaryHome } from './launcher.js';

it('says how much space the packages need before it fetches them', async (context) => {
  const root = temporaryHome();
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=300m', 'none', root]).status !== 0) context.skip();
  try {
    for (const name of ['package.json', 'package-lock.json']) copyFileSync(name, join(root, name));
    const said: string[] = [];
    await expect(ensureInstalled(root, (text) => void said.push(text))).rejects.toThrow(
      /^There is not enough free space on the disk .* to install the packages\. Free at least 700 MB/,
    );
    expect(said).toEqual([]);
    expect(existsSync(join(root, 'node_modules'))).toBe(false);
  } finally {
    spawnSync('umount', [root]);
    rmSync(root, { recursive: true });
  }
});
