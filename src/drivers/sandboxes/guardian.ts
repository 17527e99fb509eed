/**
 * Ends the sandboxes of a server that was killed.
 *
 * bubblewrap ties a sandbox to its server by parent-death signals, but sets the inner one only when it has finished
 * its set-up: a server killed in those milliseconds would leave a command running, beside the one that another worker
 * starts in its place. The guardian is a small process that waits for the server's end of a pipe to close, which the
 * kernel does however the server ends, and then kills what carries this server's mark.
 */
import { spawn } from 'node:child_process';
import type { Host } from './host.ts';

/** Looks again for a while, because a start may be under way: a stage that has not become bubblewrap yet. */
const script = `
PATH=/usr/sbin:/usr/bin:/sbin:/bin
for fd in /proc/self/fd/*; do
  fd=\${fd##*/}
  (( fd > 2 && fd != 255 )) && eval "exec $fd>&-"
done
read -r _
for (( round = 0; round < 20; round++ )); do
  for file in /proc/[0-9]*/cmdline; do
    words=()
    mapfile -d '' -t words < "$file"
    for word in "\${words[@]}"; do
      if [[ $word == "$1:"*":$2."* ]]; then
        pid=\${file#/proc/}
        kill -9 "\${pid%/cmdline}"
      fi
    done
  done
  sleep 0.1
done 2>/dev/null
`;

export function startGuardian(host: Host): void {
  const child = spawn(
    host.programs.bash!,
    [
      '--norc',
      '--noprofile',
      '-c',
      script,
      'sandbox-guardian',
      `guildhall:${host.instance}`,
      String(process.pid),
    ],
    { cwd: '/', env: {}, detached: true, stdio: ['pipe', 'ignore', 'ignore'] },
  );
  child.once('error', error => host.log({ msg: 'sandbox guardian not started', reason: error.message }));
  // It must not keep the server running; the pipe stays open as long as the server does.
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
}
