import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openWorkshop, type TestWorkshop, workspaceDirectory } from '../../../test/harness/workshop.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Sandbox } from '../sandboxes/port.ts';
import type { TreeTask } from '../sandboxes/workspaces.ts';
import { type ToolName, toolArguments } from './catalog.ts';
import {
  maxResultChars,
  type sandboxTools as SandboxTools,
  sandboxTools,
  type ToolOutput,
} from './sandbox-tools.ts';

let workshop: TestWorkshop;
let sandbox: Sandbox;
let task: TreeTask;
before(async () => {
  workshop = await openWorkshop();
  if (workshop.unusable) return;
  const location = await workshop.repository({
    'a.txt': 'one\ntwo\nthree\n',
    'dir/b.txt': 'b\n',
    'no-end': 'x',
  });
  task = workshop.task(await workshop.inspect(location));
  sandbox = await workshop.open(task);
});
after(() => workshop[Symbol.asyncDispose]());

const boxed = (title: string, body: () => Promise<void>) =>
  test(title, async t => (workshop.unusable === null ? await body() : t.skip(workshop.unusable)));

let serial = 0;
/** Calls a tool as a run does, its arguments read by the schema. */
async function use(
  name: keyof typeof SandboxTools,
  args: JsonObject,
  key = `run_x:${serial++}`,
): Promise<ToolOutput> {
  const parsed = toolArguments[name as ToolName].parse(args) as never;
  const context = { sandbox, signal: new AbortController().signal, idempotencyKey: key };
  return (sandboxTools[name] as (c: typeof context, a: never) => Promise<ToolOutput>)(context, parsed);
}
async function good(name: keyof typeof SandboxTools, args: JsonObject): Promise<string> {
  const result = await use(name, args);
  assert.equal(result.is_error, false, `${name}: ${result.content}`);
  return result.content;
}
async function bad(name: keyof typeof SandboxTools, args: JsonObject): Promise<string> {
  const result = await use(name, args);
  assert.equal(result.is_error, true, `${name}: ${result.content}`);
  return result.content;
}
/** What a file holds, by the shell rather than by the tool. */
async function bytesOf(path: string): Promise<Buffer> {
  const result = await sandbox.exec({ argv: ['cat', '--', path], max_output_bytes: 4_000_000 });
  assert.equal(result.exit_code, 0, path);
  return Buffer.from(result.stdout);
}
const shell = async (command: string): Promise<string> => {
  const result = await sandbox.exec({ argv: ['/bin/bash', '-c', command] });
  assert.equal(result.exit_code, 0, Buffer.from(result.stderr).toString());
  return Buffer.from(result.stdout).toString();
};

/** Names that a shell, git or a line of text would change. */
const awkwardNames = [
  'with space.txt',
  '  leading.txt',
  'new\nline.txt',
  'tab\there.txt',
  '-rf',
  '-delete',
  '--help',
  '--',
  '-',
  '"quoted".txt',
  "it's.txt",
  '$(touch pwned).txt',
  '`touch pwned`.txt',
  '; touch pwned',
  '&& touch pwned',
  '| touch pwned',
  '> pwned',
  '*.txt',
  '?',
  '[a-z]',
  '{a,b}',
  '~',
  '!x',
  '#x',
  '%s%n',
  ':(exclude)*',
  ':x',
  ':!a.txt',
  'a\\b',
  'ünï 漢字 🦊.txt',
  '\u202egnp.exe',
  'e\u0301.txt',
  '..dots',
  'x'.repeat(200),
  'deep/er/than/there/is/file.txt',
];

/** Contents that an encoding, a shell or a line would change. */
const awkwardTexts = [
  '',
  'x',
  '\n',
  'no end of line',
  'crlf\r\nlines\r\n',
  'lone\rreturn',
  '\ttabs\t\n',
  '   \n  trailing   \n',
  '$HOME $(id) `id` ${x} \\n %s\n',
  'EOF\n\'EOF\'\n"EOF"\n<<EOF\nEOF\n',
  `'"'"'\n`,
  '\\\\\n\\',
  'nul-free \u0001\u001b[31mred\u001b[0m\n',
  'ünïcödé ✓ 漢字 🦊 \u202e e\u0301\n',
  '\ufeffwith a mark\n',
  '\u2028\u2029\n',
  `${'long '.repeat(50_000)}\n`,
  `${'lines\n'.repeat(20_000)}`,
  '---\nlines: 1-2 of 3\n---\n',
  '--dash\n-n\n',
];

boxed('X-36 what is written is what is there, byte for byte, whatever the text is', async () => {
  for (const [n, text] of awkwardTexts.entries()) {
    const path = `texts/${n}.txt`;
    assert.equal(
      await good('write_file', { path, content: text }),
      `wrote: ${path}\nbytes: ${Buffer.byteLength(text)}`,
    );
    assert.ok((await bytesOf(path)).equals(Buffer.from(text)), JSON.stringify(text.slice(0, 40)));
  }
});

boxed('X-36 files of every name are written, read, edited, found and listed; nothing is run', async () => {
  for (const name of awkwardNames) {
    const path = `names/${name}`;
    await good('write_file', { path, content: 'needle in here\n' });
    assert.equal((await bytesOf(path)).toString(), 'needle in here\n', name);
    const read = await good('read_file', { path });
    assert.ok(read.endsWith('---\nneedle in here\n'), name);
    assert.match(await good('edit_file', { path, old_text: 'here', new_text: 'there' }), /replacements: 1/);
    assert.equal((await bytesOf(path)).toString(), 'needle in there\n', name);
    assert.match(await good('search_files', { pattern: 'needle', path }), /needle in there/, name);
    assert.doesNotMatch(await good('list_files', { path }), /^no files$/, name);
  }
  const recursive = await good('list_files', { path: 'names' });
  const flat = await good('list_files', { path: 'names', recursive: false });
  for (const name of awkwardNames.filter(n => !/[\n\t]/.test(n))) {
    assert.ok(recursive.split('\n').includes(`names/${name}`), `${name} in\n${recursive}`);
    assert.ok(
      flat.split('\n').some(line => line === name || line === `${name.split('/')[0]}/`),
      name,
    );
  }
  assert.ok(
    recursive.includes('new') && recursive.split('\n').length === awkwardNames.length,
    'one line for each file',
  );
  assert.equal(flat.split('\n').length, awkwardNames.length);
  assert.equal(await shell('find / -name "pwned*" -not -path "/proc/*" 2>/dev/null; true'), '');
  assert.equal((await bytesOf('a.txt')).toString(), 'one\ntwo\nthree\n');
});

boxed('X-36 names directly at the root that look like options or pathspecs harm nothing', async () => {
  for (const path of ['-delete', '-rf', '--', ':(exclude)*', ':', '-x']) {
    await good('write_file', { path, content: 'text\n' });
    await good('list_files', { path });
    await good('list_files', { path: '.', recursive: false });
    assert.match(await good('read_file', { path }), /text/);
    await good('search_files', { pattern: 'text', path });
    await good('git_diff', { path });
  }
  assert.equal((await bytesOf('a.txt')).toString(), 'one\ntwo\nthree\n', 'the rest is still there');
  assert.equal((await bytesOf('dir/b.txt')).toString(), 'b\n');
  await shell("rm -f ./-delete ./-rf ./-- ./-x ':(exclude)*' ./:");
});

boxed('VAL-04 patterns to search for are patterns, not options or commands', async () => {
  await good('write_file', { path: 'patterns.txt', content: '-e --help $(id) `id` a+b "q"\n' });
  for (const pattern of [
    '-e',
    '--help',
    '\\$\\(id\\)',
    '`id`',
    'a\\+b',
    '"q"',
    '-f /etc/passwd',
    '--open-files-in-pager=id',
  ]) {
    const result = await use('search_files', { pattern, path: 'patterns.txt' });
    assert.doesNotMatch(result.content, /uid=|root:|usage:/i, pattern);
    assert.equal(result.is_error, false, `${pattern}: ${result.content}`);
  }
  assert.match(await good('search_files', { pattern: '-e' }), /^patterns\.txt:1:/m);
  assert.equal(await good('search_files', { pattern: 'no such text anywhere' }), 'no matches');
  assert.match(await bad('search_files', { pattern: '(' }), /\S/);
});

boxed(
  'X-36 binary files: told as such, not garbled; bytes through a command stay what they are',
  async () => {
    const every = Buffer.from(Array.from({ length: 1_024 }, (_, i) => i % 256));
    await sandbox.exec({ argv: ['tee', 'every.bin'], stdin: every });
    assert.match(await bad('read_file', { path: 'every.bin' }), /every\.bin is a binary file of 1024 bytes/);
    assert.match(await bad('edit_file', { path: 'every.bin', old_text: 'A', new_text: 'B' }), /binary file/);
    assert.ok((await bytesOf('every.bin')).equals(every), 'it is untouched');
    const sum = (await shell('sha256sum < every.bin')).slice(0, 64);
    assert.match(
      await good('run_command', { command: 'cat every.bin > copy.bin && sha256sum < copy.bin' }),
      new RegExp(sum),
    );
    const shown = await good('run_command', { command: 'cat every.bin' });
    assert.match(shown, /^exit_code: 0\n/);
  },
);

boxed('X-36 a file that is not UTF-8 is not silently rewritten by an edit', async () => {
  const latin = Buffer.from([0x63, 0x61, 0x66, 0xe9, 0x20, 0x6f, 0x6c, 0x64, 0x0a]);
  await sandbox.exec({ argv: ['tee', 'latin1.txt'], stdin: latin });
  const edited = await use('edit_file', { path: 'latin1.txt', old_text: 'old', new_text: 'new' });
  const now = await bytesOf('latin1.txt');
  const expected = edited.is_error
    ? latin
    : Buffer.from([0x63, 0x61, 0x66, 0xe9, 0x20, 0x6e, 0x65, 0x77, 0x0a]);
  assert.ok(now.equals(expected), `${edited.content}: ${now.toString('latin1')}`);
});

boxed('X-36 commands get their text as it is: quotes, here-documents, several lines, odd bytes', async () => {
  const cases: [string, string][] = [
    [`printf '%s' "it's \\"fine\\""`, `it's "fine"`],
    [`cat <<'EOF'\n$HOME \`id\` $(id)\nEOF`, '$HOME `id` $(id)'],
    ['cat <<EOF\n"quoted" \'too\'\nEOF', `"quoted" 'too'`],
    ['a=1\nb=2\necho $((a+b))', '3'],
    ['echo "ünïcödé 🦊"', 'ünïcödé 🦊'],
    ["printf 'a\\tb'", 'a\tb'],
    ['echo a; echo b', 'a\nb'],
    ['echo "$0 $# $*"', '/bin/bash 0 '],
    ['bash -c \'echo "inner $1"\' x y', 'inner y'],
    ['echo \\\\', '\\'],
    ['echo "!!"', '!!'],
  ];
  for (const [command, expected] of cases) {
    const content = await good('run_command', { command });
    assert.ok(content.endsWith(`--- stdout\n${expected}`), `${command}\n${content}`);
  }
});

boxed(
  'VAL-03 paths outside the repository, and .git, are refused by every tool that takes a path',
  async () => {
    const calls: [keyof typeof SandboxTools, JsonObject][] = [
      ['list_files', {}],
      ['read_file', {}],
      ['write_file', { content: 'x' }],
      ['edit_file', { old_text: 'a', new_text: 'b' }],
      ['search_files', { pattern: 'x' }],
      ['git_diff', {}],
    ];
    for (const path of [
      '/etc/passwd',
      '../x',
      'a/../../x',
      '.git/config',
      '/workspace/../etc/hosts',
      'x\0y',
      '/repository/repo.git/HEAD',
    ]) {
      for (const [name, args] of calls)
        assert.match(
          await bad(name, { ...args, path }),
          /outside the repository|\.git folder|NUL/,
          `${name} ${JSON.stringify(path)}`,
        );
    }
  },
);

boxed(
  'VAL-03 a link in the workspace leads nowhere but into the sandbox, and writes do not follow it out',
  async () => {
    const marker = `guildhall-host-${process.pid}`;
    await writeFile(join(workshop.base, 'host-file'), marker);
    await shell(
      `ln -s /etc/passwd passwd; ln -s ${workshop.base}/host-file host; ln -s / root; ln -s /etc/shadow shadow; ln -s a.txt inside; ln -s nowhere dangling`,
    );
    const passwd = await use('read_file', { path: 'passwd' });
    const host = await readFile('/etc/passwd', 'utf8');
    if (!passwd.is_error)
      assert.ok(
        !passwd.content.includes(host.trim().split('\n').at(-1) as string) || passwd.content.includes('---'),
        'only what the sandbox shows',
      );
    assert.equal(
      (await shell('cat /etc/passwd')).trim(),
      passwd.is_error ? '' : passwd.content.split('---\n')[1]?.trim(),
    );
    for (const path of ['host', `root${workshop.base}/host-file`, 'shadow']) {
      assert.doesNotMatch(await bad('read_file', { path }), new RegExp(marker), path);
    }
    for (const path of ['passwd', 'root/etc/hosts', 'shadow'])
      await bad('write_file', { path, content: 'overwritten' });
    // It leads nowhere inside: the link itself is replaced by the file.
    await good('write_file', { path: 'host', content: 'overwritten' });
    assert.equal(await readFile('/etc/passwd', 'utf8'), host);
    assert.equal(await readFile(join(workshop.base, 'host-file'), 'utf8'), marker);
    await good('write_file', { path: 'inside', content: 'one\ntwo\nthree\n' });
    assert.equal(
      await shell('readlink inside; cat a.txt'),
      'a.txt\none\ntwo\nthree\n',
      'a link within stays a link',
    );
    await shell('rm -f passwd host root shadow inside dangling');
  },
);

boxed('read_file gives lines by number, and says what there is beyond', async () => {
  assert.equal(
    await good('read_file', { path: 'a.txt' }),
    'path: a.txt\nlines: 1-3 of 3\n---\none\ntwo\nthree\n',
  );
  assert.equal(
    await good('read_file', { path: 'a.txt', start_line: 2, max_lines: 1 }),
    'path: a.txt\nlines: 2-2 of 3\n---\ntwo',
  );
  assert.equal(await good('read_file', { path: 'no-end' }), 'path: no-end\nlines: 1-1 of 1\n---\nx');
  assert.equal(await bad('read_file', { path: 'a.txt', start_line: 4 }), 'a.txt has 3 lines');
  assert.match(await bad('read_file', { path: 'missing.txt' }), /there is no file missing\.txt/);
  assert.match(await bad('read_file', { path: 'dir' }), /dir is not a file/);
});

boxed(
  'edit_file replaces exactly what it was given, once or everywhere, and says why it cannot',
  async () => {
    await good('write_file', { path: 'edit.txt', content: 'a $& b\na $1 b\n' });
    assert.match(
      await bad('edit_file', { path: 'edit.txt', old_text: 'a ', new_text: 'x' }),
      /occurs 2 times/,
    );
    assert.match(
      await bad('edit_file', { path: 'edit.txt', old_text: 'zzz', new_text: 'x' }),
      /does not occur/,
    );
    assert.match(await bad('edit_file', { path: 'edit.txt', old_text: 'a', new_text: 'a' }), /the same/);
    assert.match(
      await bad('edit_file', { path: 'none.txt', old_text: 'a', new_text: 'b' }),
      /there is no file/,
    );
    await good('edit_file', { path: 'edit.txt', old_text: '$& b', new_text: "$1 $$ $' $`" });
    assert.equal((await bytesOf('edit.txt')).toString(), "a $1 $$ $' $`\na $1 b\n");
    assert.match(
      await good('edit_file', { path: 'edit.txt', old_text: '$1', new_text: '$2', replace_all: true }),
      /replacements: 2/,
    );
    assert.equal((await bytesOf('edit.txt')).toString(), "a $2 $$ $' $`\na $2 b\n");
  },
);

boxed('a mode survives a write and an edit; a directory is not overwritten', async () => {
  await shell('printf "#!/bin/sh\\necho a\\n" > run.sh && chmod 755 run.sh');
  await good('edit_file', { path: 'run.sh', old_text: 'echo a', new_text: 'echo b' });
  await good('write_file', { path: 'run.sh', content: '#!/bin/sh\necho c\n' });
  assert.equal(await shell('stat -c %a run.sh && ./run.sh'), '755\nc\n');
  assert.match(await bad('write_file', { path: 'dir', content: 'x' }), /is a directory/);
  assert.match(await bad('write_file', { path: 'a.txt/below', content: 'x' }), /\S/);
  assert.equal(
    await shell('ls -A | grep -c "\\.txt\\.[A-Za-z0-9]\\{6\\}$" || true'),
    '0\n',
    'no half-written file is left',
  );
});

boxed('SBX-07 VAL-06 results are bounded, with head and tail kept and what is missing counted', async () => {
  const flood = await good('run_command', { command: 'echo first; seq 200000; echo last' });
  assert.ok(flood.length <= maxResultChars + 200, `${flood.length}`);
  assert.match(flood, /first\n1\n2\n/);
  assert.match(flood, /199999\n200000\nlast$/);
  assert.match(flood, /left out/);
  await good('write_file', { path: 'big.txt', content: 'line of text\n'.repeat(70_000) });
  const read = await good('read_file', { path: 'big.txt', max_lines: 5_000 });
  assert.ok(read.length <= maxResultChars && /characters left out/.test(read));
  await shell('head -c 3000000 /dev/zero | tr "\\0" x > huge.txt');
  assert.match(await bad('read_file', { path: 'huge.txt' }), /larger than 2 MB/);
  await shell('mkdir many && cd many && seq -f "file-%g" 3000 | xargs touch');
  const list = await good('list_files', { path: 'many', max_entries: 100 });
  assert.equal(list.split('\n').length, 101);
  assert.match(list, /… 2900 more$/);
  const found = await good('search_files', { pattern: 'line', path: 'big.txt', max_results: 7 });
  assert.equal(found.split('\n').length, 7);
  const diff = await good('git_diff', {});
  assert.ok(diff.length <= maxResultChars);
  await shell('rm -rf many huge.txt big.txt');
});

boxed(
  'X-03 run_command tells what was executed: exit code, both streams, a time limit, a signal',
  async () => {
    const failed = await good('run_command', { command: 'echo out; echo err >&2; exit 3' });
    assert.match(failed, /^exit_code: 3\nduration_ms: \d+\n--- stdout\nout\n--- stderr\nerr$/);
    assert.match(
      await good('run_command', { command: 'sleep 30', timeout_seconds: 1 }),
      /^outcome: timed_out/,
    );
    assert.match(
      await good('run_command', { command: 'kill -9 $$' }),
      /^outcome: killed by SIGKILL|^exit_code: 137/,
    );
    assert.match(await good('run_command', { command: 'no-such-program' }), /^exit_code: 127/);
    assert.match(await good('run_command', { command: 'true' }), /^exit_code: 0\nduration_ms: \d+$/);
  },
);
