import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildSchema, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { DISCLOSURE_ENFORCEMENT, ENFORCEMENT } from '../src/domain/agreements/enforcement.js';
import { AGREEMENT_STATES, STEPS } from '../src/domain/agreements/step.js';
import { TERM_NAMES } from '../src/domain/agreements/terms.js';
import { ENVIRONMENT_VARIABLES } from '../src/config.js';
import { ERRORS } from '../src/platform/errors.js';
import { KEY_PERMISSIONS } from '../src/platform/permissions.js';

const PAGES = ['README.md', ...readdirSync('docs').map((name) => join('docs', name))].filter((path) =>
  path.endsWith('.md'),
);
const text = new Map(PAGES.map((path) => [path, readFileSync(path, 'utf8')]));
const page = (path: string) => text.get(path) ?? '';

/** What stands between fences of this language, with the line on which it begins. */
function blocks(path: string, language: string): { line: number; code: string }[] {
  const found = page(path).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'));
  return [...found].map((match) => ({
    line: page(path).slice(0, match.index).split('\n').length,
    code: match[1]!,
  }));
}

/** The page without its fenced blocks, which hold no links. */
const prose = (path: string) => page(path).replace(/^```[\s\S]*?^```/gm, '');

/** The cells of a table's rows. */
function rowsAfter(path: string, mark: string): string[][] {
  const [, after = ''] = page(path).split(mark);
  const lines = after.trimStart().split('\n');
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines.slice(2, end === -1 ? undefined : end).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** As GitHub names a heading. */
const slug = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

const anchors = (path: string) => [...prose(path).matchAll(/^#+ (.+)$/gm)].map((match) => slug(match[1]!));

describe.each(PAGES)('%s', (path) => {
  const schema = buildSchema(readFileSync('schema.graphql', 'utf8'));

  it('asks only for what the schema has', () => {
    const problems = blocks(path, 'graphql').flatMap(({ line, code }) =>
      validate(schema, parse(code)).map((error) => `line ${line}: ${error.message}`),
    );
    expect(problems).toEqual([]);
  });

  it('shows JSON that is JSON', () => {
    for (const { line, code } of blocks(path, 'json'))
      expect(() => void JSON.parse(code), `line ${line}`).not.toThrow();
  });

  it('links to what there is', () => {
    const broken = [...prose(path).matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1]!)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [file = '', anchor] = target.split('#');
        const to = file === '' ? path : join(dirname(path), file);
        return !existsSync(to) || (anchor !== undefined && !anchors(to).includes(anchor));
      });
    expect(broken).toEqual([]);
  });

  it('names only npm scripts that there are', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
    const named = [...page(path).matchAll(/\bnpm (?:run (?:--?[\w-]+ )*([\w:-]+)|(start|test)\b)/g)].map(
      (match) => match[1] ?? match[2]!,
    );
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  it('names only files and functions that there are', () => {
    const missing: string[] = [];
    for (const [, file, name] of prose(path).matchAll(
      /`((?:src|workers|migrations|test|\.ci|examples)\/[\w./-]+)`(?: \(`([\w.]+)`\))?/g,
    )) {
      if (!existsSync(file!)) missing.push(file!);
      else if (name && !readFileSync(file!, 'utf8').includes(name)) missing.push(`${name} in ${file}`);
    }
    expect(missing).toEqual([]);
  });

  it('has no place left to be filled in', () => {
    expect(page(path).match(/\b[A-Z]+_(?:OUTPUT|TABLE|HERE)\b|\bTODO\b|\bTBD\b|\bFIXME\b|\bXXX\b/g)).toBeNull();
  });
});

describe('the tables', () => {
  it('list every error code as it is', () => {
    const told = rowsAfter('docs/api.md', 'held by test/docs.test.ts -->');
    const really = Object.entries(ERRORS).map(([code, { refusal, status, remedy }]) => [
      `\`${code}\``,
      refusal === null ? 'error' : `${refusal[0]}${refusal.slice(1).toLowerCase()}Refusal`,
      String(status),
      remedy,
    ]);
    expect(told).toEqual(really);
  });

  it('list every term of an agreement, and whether it is enforced', () => {
    const told = rowsAfter('docs/agreements.md', '<!-- terms, held by test/docs.test.ts -->');
    const really = TERM_NAMES.flatMap((term) =>
      term === 'disclosure'
        ? Object.entries(DISCLOSURE_ENFORCEMENT).map(([kind, { status }]) => [
            `\`disclosure: ${kind}\``,
            `\`${status}\``,
          ])
        : [[`\`${term}\``, `\`${ENFORCEMENT[term].status}\``]],
    );
    expect(told.map(([term, , held]) => [term, held])).toEqual(really);
  });

  it('list every permission of a key', () => {
    const line = /^.*A key can hold: (.*)$/m.exec(page('docs/api.md'))?.[1] ?? '';
    const told = [...line.matchAll(/`(\w+)`/g)].map((match) => match[1]);
    expect(told).toEqual(KEY_PERMISSIONS.map((permission) => permission.toUpperCase().replace(':', '_')));
  });

  it('list every environment variable', () => {
    const told = [...page('docs/configuration.md').matchAll(/^\| `([A-Z_]+)`/gm)].map((match) => match[1]);
    expect(told.sort()).toEqual([...ENVIRONMENT_VARIABLES].sort());
  });

  it('list every step of an agreement, and whence it may be taken', () => {
    const told = rowsAfter('docs/agreements.md', '<!-- steps -->').map(([step, from]) => [
      step,
      from!.split(', ').map((state) => state.replaceAll('`', '')),
    ]);
    expect(told).toEqual(Object.values(STEPS).map(({ mutation, from }) => [`\`${mutation}\``, [...from]]));
    for (const state of AGREEMENT_STATES) expect(page('docs/agreements.md')).toContain(`\`${state}\``);
  });
});
