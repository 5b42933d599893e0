import { stderr, stdout } from 'node:process';

/** Where the demo's sentences go: to people on stdout, or nowhere when one JSON object is asked for. */
export class Printer {
  constructor(private readonly quiet: boolean) {}

  step(number: number, title: string): void {
    this.line(`\n${this.bold(`${number}. ${title}`)}`);
  }

  say(text: string): void {
    this.line(`   ${text}`);
  }

  /** Columns padded to their widest cell; numbers to the right. */
  table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
    const cells = [head, ...rows].map((row) => row.map(String));
    const widths = head.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)));
    const numeric = head.map((_, i) =>
      rows.every((row) => typeof row[i] === 'number' || /^[-\d.,%]+( |$)/.test(String(row[i]))),
    );
    cells.forEach((row, at) => {
      const text = row.map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join('  ');
      this.say(at === 0 ? this.bold(text.trimEnd()) : text.trimEnd());
    });
  }

  /** A line that is written over by the next one: on a terminal only, and on stderr, which no pipe reads. */
  progress(text: string): void {
    if (this.quiet || !stderr.isTTY) return;
    stderr.write(`\r\x1b[2K   ${text}`);
  }

  progressDone(): void {
    if (!this.quiet && stderr.isTTY) stderr.write('\r\x1b[2K');
  }

  private line(text: string): void {
    if (!this.quiet) stdout.write(`${text}\n`);
  }

  private bold(text: string): string {
    return stdout.isTTY ? `\x1b[1m${text}\x1b[22m` : text;
  }
}

/** 0.8123 as `81.2 %`, with its interval if there is one. */
export function percent(estimate: { value: number | null; low: number | null; high: number | null }): string {
  const p = (share: number) => (100 * share).toFixed(1);
  if (estimate.value === null) return '-';
  return estimate.low === null || estimate.high === null
    ? `${p(estimate.value)} %`
    : `${p(estimate.value)} % (${p(estimate.low)} to ${p(estimate.high)})`;
}

/** A difference with its sign, and its interval. */
export function between({ value, low, high }: Parameters<typeof percent>[0]): string {
  const f = (number: number | null) => (number === null ? '-' : `${number < 0 ? '' : '+'}${number.toFixed(4)}`);
  return `${f(value)} (${f(low)} to ${f(high)})`;
}
