/**
 * The stage: a short bash script that stands between Node and bubblewrap and does what Node cannot do.
 *
 * - It joins the control groups, before any process of the command exists.
 * - It closes inherited descriptors. Node marks only a dense run of them close-on-exec, so a descriptor that the
 *   server itself inherited with a high number would reach the command.
 * - As root it binds sources that the sandbox user cannot reach to a staging place, in a mount namespace of its own
 *   (`unshare` starts it), and then gives root away for good. bubblewrap run by host root would leave the command
 *   root towards /proc/sys, which is a way out.
 *
 * Every step replaces the process (exec), so the process that Node started is bubblewrap in the end.
 */
import { descriptors } from './argv.ts';
import { type Host, pooledUid } from './host.ts';
import { isReachable } from './mounts.ts';

/** Hidden for this one process tree by an empty tmpfs that holds the staged sources. Never a source itself. */
const stagingPlace = '/sys';

const script = `
fail() { echo "sandbox stage: $1" >&2; exit 125; }
PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 022
echo 500 > /proc/self/oom_score_adj || fail 'cannot set the out-of-memory score'
keep=$1; shift
count=$1; shift
while (( count-- > 0 )); do
  echo 0 > "$1" || fail "cannot join the control group $1"
  shift
done
count=$1; shift
if (( count > 0 )); then
  mount -n -t tmpfs -o mode=0711,size=64k,nosuid,nodev sandbox-stage ${stagingPlace} || fail 'cannot make the staging place'
  directories=()
  for (( i = 0; i < count; i++ )); do
    source=$(( 2 * i + 2 ))
    if [[ -d \${!source} ]]; then directories+=(${stagingPlace}/$i); else : > ${stagingPlace}/$i; fi
  done
  (( \${#directories[@]} == 0 )) || mkdir "\${directories[@]}" || fail 'cannot make the staging places'
  for (( i = 0; i < count; i++ )); do
    mount -n -o "rbind,$1" -- "$2" ${stagingPlace}/$i || fail "cannot stage $2"
    shift 2
  done
fi
for fd in /proc/self/fd/*; do
  fd=\${fd##*/}
  (( fd > keep && fd != 255 )) && eval "exec $fd>&-"
done
exec "$@"
`;

export interface Stage {
  /** Where bubblewrap finds a source. */
  place: (source: string) => string;
  /** The whole command line for the given bubblewrap arguments. */
  command: (bwrapArguments: string[]) => string[];
}

/** @param sources host paths and whether they are read-only; @param joinFiles of the sandbox's control group. */
export function prepareStage(
  host: Host,
  identity: number,
  sources: Map<string, { read_only: boolean }>,
  joinFiles: string[],
): Stage {
  const { bash, bwrap, setpriv, unshare } = host.programs as Record<string, string>;
  const uid = pooledUid(host, identity);
  const lastDescriptor = descriptors.madeUp + host.view.madeUp.size - 1;
  const staged = uid === null ? [] : [...sources.keys()].filter(source => !isReachable(source));
  const places = new Map(staged.map((source, i) => [source, `${stagingPlace}/${i}`]));
  return {
    place: source => places.get(source) ?? source,
    command: bwrapArguments => [
      ...(staged.length > 0 ? [unshare!, '--mount', '--propagation', 'private', '--'] : []),
      ...[bash!, '--norc', '--noprofile', '-c', script, 'sandbox-stage'],
      ...[String(lastDescriptor), String(joinFiles.length), ...joinFiles],
      ...[
        String(staged.length),
        ...staged.flatMap(source => [sources.get(source)!.read_only ? 'ro' : 'rw', source]),
      ],
      ...(uid === null ? [] : [setpriv!, `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--']),
      ...[bwrap!, ...bwrapArguments],
    ],
  };
}
