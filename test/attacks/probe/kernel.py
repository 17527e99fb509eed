"""Attacks through namespaces, mounts and rarely used system calls. A part of the probe: see tools.py."""

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
