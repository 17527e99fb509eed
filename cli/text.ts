/** Text for people: tables, amounts, ages. What agents and repositories wrote is shown without control characters. */

/** Escape sequences in a title or a result must not move the reader's cursor; bidi marks must not reorder a line. */
export function plain(text: string): string {
  return text
    .replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, '')
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '');
}

/** The first line, cut to a width. */
export function oneLine(text: string, width: number): string {
  const line = plain(text).replace(/\s+/g, ' ').trim();
  return line.length > width ? `${line.slice(0, Math.max(1, width - 1))}…` : line;
}

/** `$0.0123`: as many places as the amount needs, at least two. */
export function dollars(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(6).replace(/(\.\d\d\d*?)0+$/, '$1')}`;
}

export function count(n: number, noun: string): string {
  return `${n.toLocaleString('en-US')} ${noun}${n === 1 ? '' : 's'}`;
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60
    ? `${minutes} min ${Math.round((ms % 60_000) / 1_000)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `2026-11-21 06:30` in the reader's time zone. */
export function when(iso: string | null): string {
  if (iso === null) return '–';
  const date = new Date(iso);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

export const shortCommit = (commit: string | null): string => (commit ? commit.slice(0, 12) : '–');

export function indent(text: string, by: string): string {
  return plain(text)
    .trimEnd()
    .split('\n')
    .map(line => `${by}${line}`.trimEnd())
    .join('\n');
}

/** Columns as wide as they need to be; the last one is cut where the terminal ends. */
export function table(head: string[], rows: string[][], columns: number | null): string {
  const cells = [head, ...rows.map(row => row.map(cell => plain(cell).replace(/\s+/g, ' ')))];
  const widths = head.map((_, i) => Math.max(...cells.map(row => (row[i] ?? '').length)));
  const lines = cells.map(row => {
    const line = row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] as number)))
      .join('  ')
      .trimEnd();
    return columns !== null && line.length > columns ? `${line.slice(0, Math.max(1, columns - 1))}…` : line;
  });
  return `${lines.join('\n')}\n`;
}
