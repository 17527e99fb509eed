/**
 * Writes docs/reference/settings.md from the schema of the configuration: `node test/settings-page.ts`. That the
 * page is up to date is tested in src/config.test.ts.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeVariables, type Setting } from '../src/config/settings.ts';

export const settingsFile = join(import.meta.dirname, '../docs/reference/settings.md');

/** The text of the page. */
export function settingsPage(): string {
  const rows = describeVariables().map(
    s =>
      `| \`${s.name}\` | ${fallbackOf(s)} | ${cell(s.description)}${s.secret ? ` Also as \`${s.name}_FILE\`.` : ''} |`,
  );
  return `<!-- Made by test/settings-page.ts from src/config/settings.ts. Do not edit. -->

# Settings

Guildhall is set up by environment variables. They are read once, at the start; all faults are reported together and
an unknown \`GUILDHALL_*\` variable is one of them. An empty variable counts as not set.

A secret can be given in a file: \`<NAME>_FILE\` names it. Nobody but its owner may have access to the file
(\`chmod 600\`).

| variable | default | what it is for |
|---|---|---|
${rows.join('\n')}
`;
}

const fallbackOf = (setting: Setting): string =>
  setting.fallback === null ? '–' : `\`${setting.fallback}\``;
const cell = (text: string): string => text.replaceAll('|', '\\|').replace(/<[^>]+>(\/<[^>]+>)*/g, '`$&`');

if (import.meta.main) await writeFile(settingsFile, settingsPage());
