/**
 * Attacks from inside: each probe of probe/*.py must be refused in a sandbox. The same probes run beside it without a
 * sandbox, as an unprivileged user, where enough of them must succeed to show that they would notice.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Canaries, makeBench, setUpCanaries, text } from './bench.ts';

interface Finding {
  name: string;
  allowed: boolean;
  detail: string;
}

const parts = ['tools', 'host', 'kernel', 'network'];
const probe = parts
  .map(part => readFileSync(fileURLToPath(new URL(`probe/${part}.py`, import.meta.url)), 'utf8'))
  .join('\n\n');
const python = '/usr/bin/python3';
const noPython = existsSync(python) ? null : `${python} is not installed`;
/** With fewer, the probes no longer see what they should. Measured: 50 of 131 on Debian 12. */
const leastAllowedOutside = 20;
const nobody = 65534;

const bench = makeBench();

bench.attack('SBX-03 SBX-04 SBX-05 X-35 nothing that is tried from inside succeeds', async t => {
  if (noPython) return t.skip(noPython);
  const canaries = await setUpCanaries(t, bench.directory());
  // An inherited descriptor with a high number, as the server itself may have one.
  openSync(canaries.file, 'r');
  const sandbox = await bench.open(t);
  const result = await sandbox.exec({ argv: [python, '-', JSON.stringify(canaries)], stdin: probe });
  assert.equal(result.outcome, 'exited', `${result.message} ${text(result.stderr)}`);
  assert.equal(result.exit_code, 0, text(result.stderr));
  const findings = JSON.parse(text(result.stdout)) as Finding[];
  assert.ok(findings.length > 120);
  for (const { name, allowed, detail } of findings) {
    await t.test(name, () => assert.ok(!allowed, `this succeeded in a sandbox ${detail}`));
  }
});

bench.attack('control: without a sandbox many of the same attacks succeed', async t => {
  if (noPython) return t.skip(noPython);
  const canaries = await setUpCanaries(t, bench.directory());
  const findings = await runOutside(canaries);
  const allowed = findings.filter(finding => finding.allowed).map(finding => finding.name);
  t.diagnostic(`${allowed.length} of ${findings.length} allowed outside`);
  assert.ok(allowed.length >= leastAllowedOutside, `only ${allowed.length} allowed: ${allowed.join(', ')}`);
  for (const name of [
    'read a file of the host',
    "SBX-03 connect to the host's loopback",
    "SBX-03 connect to the host's abstract socket",
    "X-35 find the server's secrets in an environment",
    'use an inherited descriptor',
    'gain privileges by a setuid program',
    'be traced',
    "see the server's process",
  ]) {
    assert.ok(allowed.includes(name), `${name} is not noticed`);
  }
});

/** As an unprivileged user with a directory of its own, an environment with a secret, and one descriptor too many. */
async function runOutside(canaries: Canaries): Promise<Finding[]> {
  chmodSync(bench.directory(), 0o755);
  const cwd = join(bench.directory(), 'outside');
  mkdirSync(cwd, { mode: 0o777 });
  chmodSync(cwd, 0o777);
  const root = process.getuid?.() === 0;
  const child = spawn(python, ['-', JSON.stringify(canaries)], {
    cwd,
    env: { SECRET: canaries.secret_half.repeat(2) },
    stdio: ['pipe', 'pipe', 'inherit', openSync(canaries.file, 'r')],
    ...(root ? { uid: nobody, gid: nobody } : {}),
  });
  child.stdin!.end(probe);
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout!) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as Finding[];
}
