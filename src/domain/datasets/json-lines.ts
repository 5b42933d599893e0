import { AppError } from '../../platform/errors.js';
import { checkColumnNames, refuseTooMany } from './format.js';
import { LIMITS, type RawColumn, type RawTable, type Reject, type RejectReason } from './schema.js';

const CELL = { missing: 0, number: 1, boolean: 2, text: 3 } as const;

/**
 * Reads JSON lines as they arrive: one flat object a line, columns in the order of first sight, an absent key is missing. In
 * JavaScript, because DuckDB crashes on deep nesting and drops broken lines without a word.
 */
export class JsonLines {
  readonly #columns = new Map<string, JsonColumn>();
  readonly #rejects: Reject[] = [];
  #rejected = 0;
  #rows = 0;
  #line = 0;
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** Throws NESTED_DATA, TOO_MANY_COLUMNS, DATA_UNREADABLE. */
  add(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = chunk.subarray(from, end);
      this.#read(this.#rest.length > 0 ? Buffer.concat([...this.#rest, line]) : line);
      this.#rest = [];
      this.#restBytes = 0;
      from = end + 1;
    }
    if (from === chunk.length) return;
    this.#rest.push(Buffer.from(chunk.subarray(from)));
    this.#restBytes += chunk.length - from;
    if (this.#restBytes > LIMITS.lineBytes)
      throw new AppError('DATA_UNREADABLE', `Line ${this.#line + 1} is longer than ${LIMITS.lineBytes / 2 ** 20} MiB.`);
  }

  end(): RawTable {
    if (this.#rest.length > 0) this.#read(Buffer.concat(this.#rest));
    const lines = this.#rows + this.#rejected;
    if (this.#rejected > LIMITS.rejectedShare * lines)
      throw new AppError(
        'RAGGED_ROWS',
        `${this.#rejected.toLocaleString('en')} of ${lines.toLocaleString('en')} lines are not JSON objects, line ${this.#rejects[0]!.line} being the first.`,
        { remedy: 'Send one JSON object a line. JSON knows neither NaN nor Infinity: send null.' },
      );
    if (this.#rows === 0 || this.#columns.size === 0) throw new AppError('EMPTY_FILE', 'The file holds no row.');
    checkColumnNames([...this.#columns.keys()]);
    return {
      rowCount: this.#rows,
      columns: [...this.#columns].map(([name, column]) => column.finish(name, this.#rows)),
      rejectedCount: this.#rejected,
      rejects: this.#rejects,
    };
  }

  #read(bytes: Buffer): void {
    this.#line++;
    const text = bytes.toString('utf8').trim();
    if (text === '') return;
    let row: unknown;
    try {
      row = JSON.parse(text);
    } catch {
      return this.#reject(/(?:^|[:,[\s])-?(?:NaN|Infinity)\b/.test(text) ? 'NON_FINITE_NUMBER' : 'NOT_JSON');
    }
    if (typeof row !== 'object' || row === null || Array.isArray(row)) return this.#reject('NOT_AN_OBJECT');
    const cells = Object.entries(row);
    for (const [name, value] of cells) {
      if (typeof value === 'object' && value !== null)
        throw new AppError('NESTED_DATA', `Line ${this.#line} holds a list or an object within its object.`);
      let column = this.#columns.get(name);
      if (!column) {
        refuseTooMany(this.#columns.size + 1);
        this.#columns.set(name, (column = new JsonColumn()));
      }
      column.set(this.#rows, value as Cell);
    }
    this.#rows++;
  }

  #reject(reason: RejectReason): void {
    this.#rejected++;
    if (this.#rejects.length < LIMITS.rejectsNamed) this.#rejects.push({ line: this.#line, reason });
  }
}

type Cell = string | number | boolean | null;

/** One column, growing: a kind for each cell, its number, or the code of its text. */
class JsonColumn {
  #kinds = new Uint8Array(1024);
  #values = new Float64Array(1024);
  readonly #codeOf = new Map<string, number>();
  readonly #dictionary: string[] = [];
  #seen = 0;
  #nonFinite = 0;

  set(row: number, value: Cell): void {
    if (value === null || value === '') return;
    if (row >= this.#kinds.length) this.#grow(row + 1);
    const kind = CELL[typeof value === 'string' ? 'text' : (typeof value as 'number' | 'boolean')];
    if (typeof value === 'number' && !Number.isFinite(value)) {
      // A number beyond the range of a double, such as 1e999.
      this.#nonFinite++;
      return;
    }
    this.#kinds[row] = kind;
    this.#seen |= 1 << kind;
    this.#values[row] = typeof value === 'string' ? this.#code(value) : Number(value);
  }

  finish(name: string, rows: number): RawColumn {
    if (rows > this.#kinds.length) this.#grow(rows);
    const kinds = this.#kinds.subarray(0, rows);
    const values = this.#values.slice(0, rows);
    if (this.#seen === 0 || this.#seen === 1 << CELL.number || this.#seen === 1 << CELL.boolean) {
      for (let row = 0; row < rows; row++) if (kinds[row] === CELL.missing) values[row] = NaN;
      const type = this.#seen === 1 << CELL.boolean ? 'BOOLEAN' : 'NUMBER';
      return { name, type, values, nonFinite: this.#nonFinite };
    }
    const codes = new Int32Array(rows);
    for (let row = 0; row < rows; row++) codes[row] = this.#asText(kinds[row]!, values[row]!);
    return { name, type: 'CATEGORY', codes, dictionary: this.#dictionary };
  }

  #asText(kind: number, value: number): number {
    if (kind === CELL.missing) return -1;
    if (kind === CELL.text) return value;
    return this.#code(kind === CELL.boolean ? String(value === 1) : String(value));
  }

  #code(text: string): number {
    let code = this.#codeOf.get(text);
    if (code === undefined) this.#codeOf.set(text, (code = this.#dictionary.push(text) - 1));
    return code;
  }

  #grow(atLeast: number): void {
    const size = Math.max(atLeast, this.#kinds.length * 2);
    const kinds = new Uint8Array(size);
    kinds.set(this.#kinds);
    const values = new Float64Array(size);
    values.set(this.#values);
    this.#kinds = kinds;
    this.#values = values;
  }
}
