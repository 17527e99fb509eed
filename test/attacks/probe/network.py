"""Attacks over the network and other sockets; ends the probe with its report. A part of it: see tools.py."""

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
