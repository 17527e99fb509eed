/** Where the control group of this process lies in the file system: /proc/self/cgroup joined with the mounts. */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';

export interface Mount {
  /** The directory of the mounted file system that is shown. */
  root: string;
  point: string;
  type: string;
  options: string[];
}

export function readMounts(text: string = readFileSync('/proc/self/mountinfo', 'utf8')): Mount[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map(line => {
      const [before, after] = line.split(' - ') as [string, string];
      const fields = before.split(' ').map(unescapeOctal);
      const [type, , options] = after.split(' ');
      return { root: fields[3]!, point: fields[4]!, type: type!, options: (options ?? '').split(',') };
    });
}

function unescapeOctal(field: string): string {
  return field.replace(/\\(\d{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/**
 * Directory of the group in which this process is for a controller (`null`: version 2), or null when it is not
 * visible here.
 */
export function groupDirectory(
  mounts: Mount[],
  membership: string,
  controller: string | null,
): string | null {
  const mount = mounts.find(({ options }) => controller === null || options.includes(controller));
  const line = membership
    .split('\n')
    .map(text => /^(\d+):([^:]*):(.*)$/.exec(text))
    .find(
      match => match && (controller === null ? match[1] === '0' : match[2]!.split(',').includes(controller)),
    );
  if (!mount || !line) return null;
  const inside = posix.relative(mount.root, line[3]!);
  return inside.startsWith('..') ? null : posix.join(mount.point, inside);
}
