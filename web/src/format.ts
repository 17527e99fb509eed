/** Numbers, times and names as people read them. Pure: the present is an argument. */

/** `$0.0123`; four decimals below a dollar and two above, so that a column keeps its width. */
export function money(micros: number): string {
  const dollars = micros / 1_000_000;
  if (micros > 0 && dollars < 0.00005) return '<$0.0001';
  return `$${dollars.toFixed(Math.abs(dollars) < 1 ? 4 : 2)}`;
}

/** `812`, `8k`, `1.25k`, `12.3k`, `4.56M`. */
export function count(value: number): string {
  if (value < 1_000) return String(Math.round(value));
  if (value < 999_950) return `${trim(value / 1_000, value < 10_000 ? 2 : 1)}k`;
  return `${trim(value / 1_000_000, 2)}M`;
}

const trim = (value: number, digits: number): string => value.toFixed(digits).replace(/\.?0+$/, '');

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 0) return '0 s';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return two(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1_440) return two(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.floor(minutes / 60);
  return two(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

const two = (a: number, aUnit: string, b: number, bUnit: string): string =>
  b === 0 ? `${a} ${aUnit}` : `${a} ${aUnit} ${b} ${bUnit}`;

/** `now`, `40 s ago`, `5 min ago`, `3 h ago`, `2 d ago`, then the date; `in 20 min` for what is to come. */
export function ago(time: number, now: number): string {
  const ms = now - time;
  const size = Math.abs(ms);
  if (size < 5_000) return 'now';
  if (size > 30 * 86_400_000) return new Date(time).toLocaleDateString(undefined, { dateStyle: 'medium' });
  const text =
    size < 60_000
      ? `${Math.round(size / 1_000)} s`
      : size < 3_600_000
        ? `${Math.floor(size / 60_000)} min`
        : size < 86_400_000
          ? `${Math.floor(size / 3_600_000)} h`
          : `${Math.floor(size / 86_400_000)} d`;
  return ms < 0 ? `in ${text}` : `${text} ago`;
}

/** Since the start of something: `+0:07`, `+12:30`, `+1:02:03`. */
export function offset(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const h = Math.floor(seconds / 3_600);
  const m = Math.floor((seconds % 3_600) / 60);
  const s = String(seconds % 60).padStart(2, '0');
  return h > 0 ? `+${h}:${String(m).padStart(2, '0')}:${s}` : `+${m}:${s}`;
}

export const absolute = (time: number): string =>
  new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** The last two parts of a path or URL: enough to know which repository it is. */
export function repositoryName(location: string): string {
  const parts = location
    .replace(/\.git$/, '')
    .replace(/\/+$/, '')
    .split(/[/:]/)
    .filter(Boolean);
  return parts.slice(-2).join('/') || location;
}

export const shortCommit = (commit: string): string => commit.slice(0, 7);

/** `task_01jd3…x4q9`: begins with the noun, ends with what tells it from others. */
export function shortId(id: string): string {
  const [prefix, rest] = id.split('_');
  return rest && rest.length > 12 ? `${prefix}_…${rest.slice(-6)}` : id;
}

/** Words of an identifier: `in_review` → `in review`. */
export const words = (identifier: string): string => identifier.replaceAll('_', ' ');

export const plural = (n: number, one: string, many = `${one}s`): string =>
  `${count(n)} ${n === 1 ? one : many}`;

/** Up to two letters for an avatar: `engineering-manager` → `EM`, `lead` → `LE`. */
export function initials(name: string): string {
  const parts = name.split(/[^a-zA-Z0-9]+/).filter(Boolean);
  const letters = parts.length > 1 ? `${parts[0]?.[0]}${parts[1]?.[0]}` : (parts[0] ?? '?').slice(0, 2);
  return letters.toUpperCase();
}

/** A stable colour lane, 0 to 7, for a name. */
export function laneOf(name: string): number {
  let hash = 2_166_136_261;
  for (const char of name) hash = Math.imul(hash ^ (char.codePointAt(0) as number), 16_777_619);
  return (hash >>> 0) % 8;
}
