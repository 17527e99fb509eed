/**
 * The filter program is run in a small BPF interpreter, so that the arm64 program and every rule can be judged on
 * any machine. That the kernel accepts and obeys the x86-64 program is shown by test/attacks.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Architecture, compileFilter, verdicts } from './seccomp.ts';
import { allowed, parseNumbers, pretendedMissing, refused, ruledByArguments } from './syscalls.ts';

const auditWords: Record<Architecture, number> = { x64: 0xc000003e, arm64: 0xc00000b7 };
const architectures: Architecture[] = ['x64', 'arm64'];
const everything = { unixSockets: true, sharedMemory: true };
const eperm = verdicts.errno(1);
const enosys = verdicts.errno(38);
const eafnosupport = verdicts.errno(97);

/** Runs the program on one `struct seccomp_data`; throws on a jump out of it. */
function judge(program: Buffer, architecture: number, number: number, args: bigint[] = []): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(architecture, 4);
  args.forEach((value, i) => {
    data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + 8 * i);
  });
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const code = program.readUInt16LE(at * 8);
    const ifTrue = program.readUInt8(at * 8 + 2);
    const ifFalse = program.readUInt8(at * 8 + 3);
    const operand = program.readUInt32LE(at * 8 + 4);
    if (code === 0x20) accumulator = data.readUInt32LE(operand);
    else if (code === 0x06) return operand;
    else if (code === 0x05) at += operand;
    else if (code === 0x15) at += accumulator === operand ? ifTrue : ifFalse;
    else if (code === 0x35) at += accumulator >= operand ? ifTrue : ifFalse;
    else if (code === 0x45) at += (accumulator & operand) !== 0 ? ifTrue : ifFalse;
    else throw new Error(`unknown instruction ${code}`);
  }
  throw new Error('the program ran off its end');
}

function numberOf(name: string, architecture: Architecture): number | null {
  const table = [allowed, ruledByArguments, pretendedMissing, refused].join(' ');
  return parseNumbers(table).get(name)?.[architecture] ?? null;
}

for (const architecture of architectures) {
  const program = compileFilter(architecture, everything);
  const word = auditWords[architecture];
  const call = (name: string, ...args: bigint[]) =>
    judge(program, word, numberOf(name, architecture) ?? assert.fail(name), args);

  test(`SBX-05 seccomp ${architecture}: every number of the table gets the verdict of its list`, () => {
    const expected = new Map<number, number>();
    const fill = (table: string, verdict: number) => {
      for (const numbers of parseNumbers(table).values()) {
        if (numbers[architecture] !== null) expected.set(numbers[architecture], verdict);
      }
    };
    fill(allowed, verdicts.allow);
    fill(pretendedMissing, enosys);
    fill(refused, eperm);
    const ruled = new Set([...parseNumbers(ruledByArguments).values()].map(numbers => numbers[architecture]));
    for (let number = 0; number < 2048; number++) {
      if (!ruled.has(number)) {
        assert.equal(judge(program, word, number), expected.get(number) ?? enosys, `system call ${number}`);
      }
    }
    assert.ok(expected.size > 300);
  });

  test(`SBX-05 seccomp ${architecture}: other ABIs are killed`, () => {
    const foreign = [0x40000003, auditWords[architecture === 'x64' ? 'arm64' : 'x64'], 0x40000028, 0];
    for (const other of foreign) assert.equal(judge(program, other, 1), verdicts.killProcess);
    if (architecture === 'x64') {
      for (const x32 of [0x40000000, 0x40000001, 0x40000209, 0xffffffff]) {
        assert.equal(judge(program, word, x32), verdicts.killProcess);
      }
    }
  });

  test(`SBX-05 seccomp ${architecture}: a new namespace by clone is refused, threads and forks are not`, () => {
    for (const bit of [17n, 25n, 26n, 27n, 28n, 29n, 30n]) {
      assert.equal(call('clone', (1n << bit) | 17n), eperm, `flag bit ${bit}`);
    }
    assert.equal(call('clone', 17n), verdicts.allow);
    assert.equal(call('clone', 0x3d0f00n), verdicts.allow); // pthread_create
    assert.equal(call('clone3'), enosys);
    assert.equal(call('unshare', 0x10000000n), eperm);
  });

  test(`SBX-05 seccomp ${architecture}: typing into a terminal is refused, in the 64-bit disguise too`, () => {
    for (const request of [0x5412n, 0x1_0000_5412n, 0xffff_ffff_0000_5412n, 0x541cn, 0x1_0000_541cn]) {
      assert.equal(call('ioctl', 0n, request), eperm);
    }
    assert.equal(call('ioctl', 0n, 0x5401n), verdicts.allow);
  });

  test(`SBX-03 seccomp ${architecture}: socket families`, () => {
    for (const family of [1n, 2n, 10n, 0x1_0000_0002n]) assert.equal(call('socket', family), verdicts.allow);
    assert.equal(call('socket', 16n, 3n, 0n), verdicts.allow);
    assert.equal(call('socket', 16n, 3n, 12n), eafnosupport);
    for (const family of [0n, 3n, 4n, 9n, 17n, 29n, 31n, 38n, 40n, 44n]) {
      assert.equal(call('socket', family), eafnosupport, `family ${family}`);
    }
    assert.equal(call('socketpair', 1n), verdicts.allow);
    assert.equal(call('socketpair', 40n), eafnosupport);

    const hostNetwork = compileFilter(architecture, { ...everything, unixSockets: false });
    const socket = numberOf('socket', architecture)!;
    assert.equal(judge(hostNetwork, word, socket, [1n]), eafnosupport);
    assert.equal(judge(hostNetwork, word, socket, [2n]), verdicts.allow);
  });

  test(`SBX-02 seccomp ${architecture}: memory that nothing accounts for is refused without a control group`, () => {
    const strict = compileFilter(architecture, { ...everything, sharedMemory: false });
    for (const name of ['memfd_create', 'shmget', 'shmat']) {
      assert.equal(call(name), verdicts.allow);
      assert.equal(judge(strict, word, numberOf(name, architecture)!), eperm);
    }
  });
}
