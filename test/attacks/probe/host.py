"""Attacks on files, processes, environment, descriptors and privileges. A part of the probe: see tools.py."""

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
