/**
 * Writes the tables of permissions into docs/operating/access.md: `node test/access-page.ts`. That the page is up to
 * date is tested in src/features/identity/permissions.test.ts.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { permissionTable } from '../src/features/identity/permissions.ts';

export const accessFile = join(import.meta.dirname, '../docs/operating/access.md');

/** The page with its tables as the code has them. */
export function accessPage(text: string): string {
  return text.replace(
    /(<!-- table: (organization|projects) .*-->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, part: 'organization' | 'projects', end: string) =>
      `${begin}\n${markdown(permissionTable(part))}\n\n${end}`,
  );
}

function markdown([head = [], ...rows]: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  const ruler = head.map((_, at) => (at < 2 ? '---' : ':-:'));
  return [
    line(head),
    line(ruler),
    ...rows.map(([name = '', ...cells]) => line([`\`${name}\``, ...cells])),
  ].join('\n');
}

if (import.meta.main) await writeFile(accessFile, accessPage(await readFile(accessFile, 'utf8')));
