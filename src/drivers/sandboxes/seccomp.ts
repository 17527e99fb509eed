/**
 * Compiles the sandbox's system call filter to classic BPF, the form that seccomp takes
 * (https://docs.kernel.org/userspace-api/seccomp_filter.html). No native code: bubblewrap reads it from a descriptor.
 *
 * The program looks at the architecture (another ABI of the same processor would have other numbers: it is killed),
 * then finds the call number in a balanced tree of ranges, each of which ends in a verdict. Arguments are compared
 * by their low 32 bits only: the kernel ignores the upper half of an `int`, so a filter that compares 64 bits lets
 * `ioctl(fd, 0x1_0000_5412)` pass as something that is not TIOCSTI.
 */
import {
  allowed,
  parseNumbers,
  pretendedMissing,
  refused,
  ruledByArguments,
  unaccountedMemory,
} from './syscalls.ts';

export type Architecture = 'x64' | 'arm64';

export interface FilterOptions {
  /** Whether `socket(AF_UNIX)` is allowed. Not with the host's network, whose abstract sockets it would reach. */
  unixSockets: boolean;
  /** Whether memory that belongs to no process is allowed; only where a control group counts it. */
  sharedMemory: boolean;
}

/** `struct sock_filter`: code, jump if true, jump if false, operand. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];
/** A run of instructions that always ends by returning; jumps stay inside. */
type Verdict = readonly Instruction[];

const load = 0x20; // BPF_LD | BPF_W | BPF_ABS
const jump = 0x05; // BPF_JMP | BPF_JA
const jumpIfEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const jumpIfAtLeast = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const jumpIfAnyBit = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const give = 0x06; // BPF_RET | BPF_K

// Offsets in `struct seccomp_data`.
const callNumber = 0;
const architecture = 4;
const lowHalfOfArgument = (index: number) => 16 + 8 * index;

const eperm = 1;
const enosys = 38;
const eafnosupport = 97;

export const verdicts = {
  allow: 0x7fff0000,
  killProcess: 0x80000000,
  errno: (code: number) => 0x00050000 | code,
} as const;

const allow: Verdict = [[give, 0, 0, verdicts.allow]];
const kill: Verdict = [[give, 0, 0, verdicts.killProcess]];
const fail = (code: number): Verdict => [[give, 0, 0, verdicts.errno(code)]];
const failPermission = fail(eperm);
const failMissing = fail(enosys);

const auditArchitecture: Record<Architecture, number> = { x64: 0xc000003e, arm64: 0xc00000b7 };
/** x32 calls carry this bit: same architecture word as x86-64, other meanings. */
const x32Bit = 0x40000000;

/** `then` when the low half of the argument is one of the values. */
function whenArgumentIs(argument: number, values: number[], then: Verdict, otherwise: Verdict): Verdict {
  const tests = values.map(
    (value, i): Instruction => [jumpIfEqual, values.length - 1 - i + otherwise.length, 0, value],
  );
  return [[load, 0, 0, lowHalfOfArgument(argument)], ...tests, ...otherwise, ...then];
}

function whenArgumentHasBit(argument: number, bits: number, then: Verdict, otherwise: Verdict): Verdict {
  return [
    [load, 0, 0, lowHalfOfArgument(argument)],
    [jumpIfAnyBit, otherwise.length, 0, bits],
    ...otherwise,
    ...then,
  ];
}

// <linux/sched.h>: NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET
const newNamespaceFlags =
  0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000;
// <asm-generic/ioctls.h>: both put characters into a terminal's input, as if its user had typed them.
const tiocsti = 0x5412;
const tioclinux = 0x541c;
// <linux/socket.h>
const afUnix = 1;
const afInet = 2;
const afInet6 = 10;
const afNetlink = 16;
const netlinkRoute = 0;
// <linux/personality.h>: the native one, and the query. Others switch off address randomisation.
const harmlessPersonalities = [0, 0xffffffff];

function argumentRules(options: FilterOptions): Record<string, Verdict> {
  const families = [afInet, afInet6, ...(options.unixSockets ? [afUnix] : [])];
  const routeOnly = whenArgumentIs(2, [netlinkRoute], allow, fail(eafnosupport));
  return {
    clone: whenArgumentHasBit(0, newNamespaceFlags, failPermission, allow),
    ioctl: whenArgumentIs(1, [tiocsti, tioclinux], failPermission, allow),
    socket: whenArgumentIs(0, families, allow, whenArgumentIs(0, [afNetlink], routeOnly, fail(eafnosupport))),
    socketpair: whenArgumentIs(0, [afUnix], allow, fail(eafnosupport)),
    personality: whenArgumentIs(0, harmlessPersonalities, allow, failPermission),
  };
}

function verdictsByNumber(target: Architecture, options: FilterOptions): Map<number, Verdict> {
  const rules = argumentRules(options);
  const byNumber = new Map<number, Verdict>();
  const decide = (table: string, verdictOf: (name: string) => Verdict) => {
    for (const [name, numbers] of parseNumbers(table)) {
      const number = numbers[target];
      if (number !== null) byNumber.set(number, verdictOf(name));
    }
  };
  decide(allowed, name =>
    !options.sharedMemory && unaccountedMemory.includes(name) ? failPermission : allow,
  );
  decide(ruledByArguments, name => rules[name]!);
  decide(pretendedMissing, () => failMissing);
  decide(refused, () => failPermission);
  return byNumber;
}

interface Range {
  start: number;
  verdict: Verdict;
}

/** The whole number space as ranges of one verdict each, ascending, the first from 0. */
function rangesOf(byNumber: Map<number, Verdict>, target: Architecture): Range[] {
  const ranges: Range[] = [];
  const append = (start: number, verdict: Verdict) => {
    if (ranges.at(-1)?.verdict !== verdict) ranges.push({ start, verdict });
  };
  const last = Math.max(...byNumber.keys());
  for (let number = 0; number <= last; number++) append(number, byNumber.get(number) ?? failMissing);
  append(last + 1, failMissing);
  if (target === 'x64') append(x32Bit, kill);
  return ranges;
}

/** Binary search over the ranges. A conditional jump reaches 255 instructions; farther needs a plain jump. */
function searchTree(ranges: Range[]): Instruction[] {
  if (ranges.length === 1) return [...ranges[0]!.verdict];
  const middle = Math.ceil(ranges.length / 2);
  const below = searchTree(ranges.slice(0, middle));
  const above = searchTree(ranges.slice(middle));
  const pivot = ranges[middle]!.start;
  const branch: Instruction[] =
    below.length <= 255
      ? [[jumpIfAtLeast, below.length, 0, pivot]]
      : [
          [jumpIfAtLeast, 0, 1, pivot],
          [jump, 0, 0, below.length],
        ];
  return [...branch, ...below, ...above];
}

/** The filter as an array of `struct sock_filter`, little-endian like both architectures. */
export function compileFilter(target: Architecture, options: FilterOptions): Buffer {
  const program: Instruction[] = [
    [load, 0, 0, architecture],
    [jumpIfEqual, 1, 0, auditArchitecture[target]],
    ...kill,
    [load, 0, 0, callNumber],
    ...searchTree(rangesOf(verdictsByNumber(target, options), target)),
  ];
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, ifTrue, ifFalse, operand], i) => {
    bytes.writeUInt16LE(code, i * 8);
    bytes.writeUInt8(ifTrue, i * 8 + 2);
    bytes.writeUInt8(ifFalse, i * 8 + 3);
    bytes.writeUInt32LE(operand, i * 8 + 4);
  });
  return bytes;
}
