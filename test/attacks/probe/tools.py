"""Attacks on a sandbox, tried from inside, one after another; prints a JSON list of what was allowed.

Run twice: in a sandbox, where nothing may be allowed, and beside it as the same kind of user without a sandbox, where
many attacks must succeed, or the probes have gone blind. Judged are effects where there are any to see, and for
system calls whether the kernel's own code was reached.

The parts of this directory make one program, joined in the order tools, host, kernel, network. Argument: a JSON
object with the canaries that the test has set up on the host.
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import sys

canaries = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
arm = platform.machine() == "aarch64"
results = []

# x86-64, arm64
NUMBERS = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "mount": (165, 40), "umount2": (166, 39),
    "fsopen": (430, 430), "open_tree": (428, 428), "unshare": (272, 97), "clone": (56, 220), "clone3": (435, 435),
    "setns": (308, 268), "chroot": (161, 51), "pivot_root": (155, 41), "add_key": (248, 217), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "io_uring_setup": (425, 425),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "userfaultfd": (323, 282), "fanotify_init": (300, 262),
    "memfd_secret": (447, 447), "personality": (135, 92), "syslog": (103, 116), "sethostname": (170, 161),
    "settimeofday": (164, 170), "init_module": (175, 105), "kexec_load": (246, 104), "swapon": (167, 224),
    "acct": (163, 89), "quotactl": (179, 60), "modify_ldt": (154, None), "move_pages": (279, 239),
    "process_madvise": (440, 440), "iopl": (172, None),
}
SIGCHLD = 17
NEWUSER = 0x10000000
NEWNS = 0x00020000
REFUSALS = (errno.EPERM, errno.ENOSYS, errno.EACCES)


def attack(name):
    """Registers and runs; the function returns whether the attack succeeded. An exception means it did not."""

    def run(function):
        try:
            outcome = function()
            detail = ""
        except (OSError, ValueError, AttributeError) as error:
            outcome, detail = False, str(error)
        results.append({"name": name, "allowed": bool(outcome), "detail": detail})

    return run


def syscall(name, *args):
    """The result, or the negative errno."""
    number = NUMBERS[name][1 if arm else 0]
    if number is None:
        return -errno.ENOSYS
    ctypes.set_errno(0)
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = libc.syscall(ctypes.c_long(number), *words)
    return result if result >= 0 else -ctypes.get_errno()


def reaches(name, *args):
    """Whether the call gets past the filter: anything but a refusal."""
    return -syscall(name, *args) not in REFUSALS


def in_child(function):
    """Wait status of a child that runs the function and ends with its result."""
    pid = os.fork()
    if pid == 0:
        os._exit(int(function() or 0))
    return os.waitpid(pid, 0)[1]


def can_open(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags))
    return True
