"""Attacks on a sandbox, tried from inside, one after another; prints a JSON list of what was allowed.

Run twice: in a sandbox, where nothing may be allowed, and beside it as the same kind of user without a sandbox, where
many attacks must succeed, or the probes have gone blind. Judged are effects where there are any to see, and for
system calls whether the kernel's own code was reached.

Argument: a JSON object with the canaries that the test has set up on the host.
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


# Files


@attack("read a file of the host")
def _():
    return "host canary" in open(canaries["file"]).read()


@attack("read a file of the host through /proc/1/root")
def _():
    return "host canary" in open("/proc/1/root" + canaries["file"]).read()


@attack("read a file of the host through a symbolic link in the workspace")
def _():
    if os.path.lexists("link-out"):
        os.unlink("link-out")
    os.symlink(canaries["file"], "link-out")
    return "host canary" in open("link-out").read()


@attack("read a file of the host through ../")
def _():
    return "host canary" in open("../" * 12 + canaries["file"].lstrip("/")).read()


@attack("hard link to a file of the host")
def _():
    os.link(canaries["file"], "hard-link")
    os.unlink("hard-link")
    return True


@attack("write a file of the host")
def _():
    return can_open(canaries["file"], os.O_RDWR)


@attack("list the workspaces of others")
def _():
    return len(os.listdir(canaries["workspaces"])) > 0


for secret in ("/etc/shadow", "/etc/sudoers", "/root/.ssh", "/root/.bashrc", "/home", "/var/lib", "/opt/", "/mnt"):
    @attack("read " + secret)
    def _():
        if os.path.isdir(secret):
            return any(name != "guildhall" for name in os.listdir(secret))
        return can_open(secret)


for place in ("/", "/usr", "/usr/bin", "/etc", "/bin", "/var", "/dev", "/opt", "/proc", "/sys"):
    @attack("write to " + place)
    def _():
        return can_open(os.path.join(place, "guildhall-attack"), os.O_CREAT | os.O_WRONLY)


@attack("replace the program of process 1 (CVE-2019-5736)")
def _():
    return can_open("/proc/1/exe", os.O_RDWR)


for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger", "/proc/sys/vm/overcommit_memory"):
    @attack("write " + path)
    def _():
        return can_open(path, os.O_WRONLY)


for path in ("/proc/kcore", "/proc/kmsg", "/proc/timer_list"):
    @attack("read " + path)
    def _():
        return can_open(path)


@attack("see /sys")
def _():
    return len(os.listdir("/sys/class")) > 0


@attack("write to the control groups")
def _():
    for root, _, files in os.walk("/sys/fs/cgroup"):
        for name in files:
            if name in ("release_agent", "cgroup.procs") and os.access(os.path.join(root, name), os.W_OK):
                return True
    return False


for device in ("kmsg", "mem", "kvm", "fuse", "net/tun", "vsock", "vda", "sda", "nvme0n1", "loop-control", "rtc0", "tty0", "console", "hwrng", "userfaultfd", "vhost-vsock"):
    @attack("open /dev/" + device)
    def _():
        return can_open("/dev/" + device, os.O_RDWR)


@attack("make a device node")
def _():
    os.mknod("node", 0o666 | 0o060000, os.makedev(254, 0))
    return can_open("node")


@attack("open a file by handle")
def _():
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount_id = ctypes.c_int()
    got = syscall("name_to_handle_at", -100, b".", handle, ctypes.byref(mount_id), 0)
    return got == 0 or reaches("open_by_handle_at", -100, handle, 0)


for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket", "/run/podman/podman.sock", "/run/user", "/run/systemd"):
    @attack("X-35 see " + path)
    def _():
        return os.path.exists(path)


# Processes, environment, descriptors


@attack("see the server's process")
def _():
    return canaries["server_word"] in open("/proc/%d/cmdline" % canaries["server_pid"]).read()


@attack("signal the server's process")
def _():
    os.kill(canaries["server_pid"], 0)
    return canaries["server_pid"] > 100


@attack("X-35 find the server's secrets in an environment")
def _():
    word = canaries["secret_half"] * 2
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if word in open("/proc/%s/environ" % pid).read():
                return True
        except OSError:
            pass
    return word in "".join(os.environ.values())


@attack("use an inherited descriptor")
def _():
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and not os.readlink("/proc/self/fd/" + name).startswith("/proc/"):
                return True
        except OSError:
            pass  # The listing's own.
    return False


def status(field):
    for line in open("/proc/self/status"):
        if line.startswith(field + ":"):
            return line.split()[1]


@attack("gain privileges by a setuid program")
def _():
    return status("NoNewPrivs") != "1"


@attack("have capabilities")
def _():
    return any(int(status(field), 16) for field in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"))


@attack("become root")
def _():
    os.setresuid(0, 0, 0)
    return True


@attack("change groups")
def _():
    os.setgroups([0])
    return True


@attack("be traced")
def _():
    return in_child(lambda: syscall("ptrace", 0, 0, 0, 0) == 0) != 0


@attack("trace process 1")
def _():
    return syscall("ptrace", 0x4206, 1, 0, 0) == 0


@attack("read the memory of another process")
def _():
    buffer = ctypes.create_string_buffer(8)
    vector = struct.pack("PN", ctypes.addressof(buffer), 8)
    return syscall("process_vm_readv", os.getpid(), vector, 1, vector, 1, 0) == 8


@attack("take a descriptor of another process")
def _():
    pidfd = syscall("pidfd_open", os.getpid(), 0)
    return pidfd >= 0 and syscall("pidfd_getfd", pidfd, 0, 0) >= 0


@attack("compare kernel objects")
def _():
    return syscall("kcmp", os.getpid(), os.getpid(), 1, 0, 0) >= 0


@attack("raise own priority")
def _():
    os.nice(-5)
    return True


@attack("raise own limits")
def _():
    for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
        soft, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            resource.setrlimit(kind, (soft, hard + 1))
    return resource.getrlimit(resource.RLIMIT_CORE)[1] != 0


@attack("switch off address randomisation")
def _():
    before = syscall("personality", 0xFFFFFFFF)
    allowed = syscall("personality", 0x0040000) >= 0
    syscall("personality", before)
    return allowed


# Namespaces and mounts


@attack("make a user namespace by unshare")
def _():
    return in_child(lambda: syscall("unshare", NEWUSER) == 0) != 0


def clone_user_namespace():
    pid = syscall("clone", NEWUSER | SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid > 0


@attack("make a user namespace by clone")
def _():
    return in_child(clone_user_namespace) != 0


def clone3_user_namespace():
    arguments = ctypes.create_string_buffer(struct.pack("8Q", NEWUSER, 0, 0, 0, SIGCHLD, 0, 0, 0))
    pid = syscall("clone3", arguments, 64)
    if pid == 0:
        os._exit(0)
    return pid > 0


@attack("make a user namespace by clone3")
def _():
    return in_child(clone3_user_namespace) != 0


@attack("make a mount namespace")
def _():
    return in_child(lambda: syscall("unshare", NEWNS) == 0) != 0


@attack("enter another namespace")
def _():
    fd = os.open("/proc/1/ns/net", os.O_RDONLY)
    return reaches("setns", fd, 0)


@attack("mount")
def _():
    return reaches("mount", b"none", b"/tmp", b"tmpfs", 0, 0)


@attack("remount the root writable")
def _():
    return reaches("mount", b"none", b"/", 0, 32, 0)


@attack("unmount")
def _():
    return reaches("umount2", b"/proc", 2)


@attack("use the new mount calls")
def _():
    return reaches("fsopen", b"tmpfs", 0) or reaches("open_tree", -100, b"/", 1)


@attack("chroot")
def _():
    return in_child(lambda: syscall("chroot", b".") == 0) != 0


@attack("pivot_root")
def _():
    return reaches("pivot_root", b".", b".")


# Kernel interfaces that widen the attack surface


@attack("use the keyring")
def _():
    return syscall("add_key", b"user", b"guildhall", b"x", 1, -2) > 0 or reaches("keyctl", 0, -3, 0)


@attack("load a BPF program")
def _():
    return reaches("bpf", 0, 0, 0)


@attack("open a performance counter")
def _():
    return reaches("perf_event_open", 0, 0, -1, -1, 0)


@attack("use io_uring")
def _():
    parameters = ctypes.create_string_buffer(120)
    return syscall("io_uring_setup", 1, parameters) >= 0


@attack("use userfaultfd")
def _():
    return reaches("userfaultfd", 1)


@attack("use fanotify")
def _():
    return syscall("fanotify_init", 0x200, 0) >= 0


@attack("make secret memory")
def _():
    return reaches("memfd_secret", 0)


@attack("change the local descriptor table")
def _():
    return syscall("modify_ldt", 0, ctypes.create_string_buffer(16), 16) >= 0


@attack("move pages between nodes")
def _():
    return reaches("move_pages", 0, 0, 0, 0, 0, 0)


@attack("advise another process's memory")
def _():
    return reaches("process_madvise", -1, 0, 0, 0, 0)


for name, arguments in (
    ("init_module", (0, 0, 0)),
    ("kexec_load", (0, 0, 0, 0)),
    ("swapon", (b"/none", 0)),
    ("acct", (b"/none",)),
    ("quotactl", (0x80000101, b"/none", 0, 0)),
    ("syslog", (3, 0, 0)),
    ("sethostname", (b"x", 1)),
    ("settimeofday", (0, 0)),
    ("iopl", (3,)),
):
    @attack("administer the kernel: " + name)
    def _():
        return syscall(name, *arguments) >= 0


def machine_code(code):
    """Runs code in a child; whether it survived."""
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    call = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    return os.WIFEXITED(in_child(lambda: call() and 0))


@attack("call through the 32-bit gate (int 0x80)")
def _():
    # mov eax, 20 (getpid); int 0x80; ret
    return not arm and machine_code(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")


@attack("call with x32 numbers")
def _():
    # mov eax, 0x40000027 (getpid); syscall; ret: the kernel may lack x32, the filter must not let it decide.
    return not arm and machine_code(b"\xb8\x27\x00\x00\x40\x0f\x05\xc3")


def types_into_terminal(request):
    controller, terminal = os.openpty()

    def child():
        os.setsid()
        libc.ioctl(terminal, ctypes.c_ulong(0x540E), 0)  # TIOCSCTTY
        return libc.ioctl(terminal, ctypes.c_ulong(request), b"x") == 0

    try:
        return in_child(child) != 0
    finally:
        os.close(controller)
        os.close(terminal)


@attack("type into a terminal")
def _():
    return types_into_terminal(0x5412)


@attack("type into a terminal, request in 64-bit disguise")
def _():
    return types_into_terminal(0x1_0000_5412)


@attack("open the server's terminal")
def _():
    return can_open("/dev/tty", os.O_RDWR)


# Network


def connects(family, address, kind=socket.SOCK_STREAM):
    """Whether anything was there to refuse or to swallow the packet: only 'no route' is a wall."""
    with socket.socket(family, kind) as sock:
        sock.settimeout(0.4)
        try:
            sock.connect(address)
            if kind == socket.SOCK_DGRAM:
                sock.send(b"\0" * 12)
            return True
        except (TimeoutError, ConnectionRefusedError):
            return True


for host in ("169.254.169.254", "1.1.1.1", "10.0.0.1", "172.17.0.1", "192.168.0.1"):
    @attack("SBX-03 connect to " + host)
    def _():
        return connects(socket.AF_INET, (host, 80))


@attack("SBX-03 connect over IPv6")
def _():
    return connects(socket.AF_INET6, ("2606:4700:4700::1111", 443))


@attack("SBX-03 send a DNS query")
def _():
    return connects(socket.AF_INET, ("8.8.8.8", 53), socket.SOCK_DGRAM)


@attack("SBX-03 connect to the host's loopback")
def _():
    with socket.create_connection(("127.0.0.1", canaries["port"]), 0.4) as sock:
        return b"host canary" in sock.recv(64)


@attack("SBX-03 connect to the host's abstract socket")
def _():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("\0" + canaries["abstract"])
        return b"host canary" in sock.recv(64)


@attack("see the host's sockets")
def _():
    return canaries["abstract"] in open("/proc/net/unix").read()


@attack("see a network interface")
def _():
    return any(name != "lo" for _, name in socket.if_nameindex())


@attack("see the host's name")
def _():
    return socket.gethostname() == canaries["hostname"]


for name, family, kind, protocol in (
    ("packets", 17, socket.SOCK_RAW, 0),
    ("raw ICMP", socket.AF_INET, socket.SOCK_RAW, 1),
    ("the hypervisor (vsock)", 40, socket.SOCK_STREAM, 0),
    ("kernel cryptography", 38, socket.SOCK_SEQPACKET, 0),
    ("netfilter", 16, socket.SOCK_RAW, 12),
    ("Bluetooth", 31, socket.SOCK_RAW, 1),
    ("XDP", 44, socket.SOCK_RAW, 0),
    ("CAN", 29, socket.SOCK_RAW, 1),
):
    @attack("open a socket for " + name)
    def _():
        socket.socket(family, kind, protocol).close()
        return True


print(json.dumps(results))
