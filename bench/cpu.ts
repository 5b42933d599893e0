/** CPU time of processes, from Linux's /proc (proc(5)): user and system, in seconds, to a hundredth. */
import { readdirSync, readFileSync } from 'node:fs';

const TICKS = 100;

/** The fields of /proc/<pid>/stat behind the name, which may hold spaces: [0] is the state (field 3). Null if it is gone. */
function stat(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

const ticksOf = (fields: string[], from: number, count: number): number =>
  fields.slice(from, from + count).reduce((sum, text) => sum + Number(text), 0);

/** Of one process, all its threads. */
export function cpuSeconds(pid: number): number {
  const fields = stat(pid);
  if (!fields) throw new Error(`The process ${pid} is gone.`);
  return ticksOf(fields, 11, 2) / TICKS;
}

/** Of a process, its children, and those of its children that have ended: a PostgreSQL server. */
export function familyCpuSeconds(pid: number): number {
  const own = stat(pid);
  if (!own) throw new Error(`The process ${pid} is gone.`);
  let ticks = ticksOf(own, 11, 4);
  for (const child of readdirSync('/proc')) {
    if (!/^\d+$/.test(child)) continue;
    const fields = stat(Number(child));
    if (fields && Number(fields[1]) === pid) ticks += ticksOf(fields, 11, 2);
  }
  return ticks / TICKS;
}

export function parentOf(pid: number): number {
  return Number(stat(pid)![1]);
}
