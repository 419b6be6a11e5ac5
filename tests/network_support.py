"""Several hosts on this machine: network namespaces, and between them a switch that cuts, slows and loses.

A `Network` is one process, the switch, in a namespace of its own; each host is a namespace that a child of
the switch keeps alive, joined to it by a pair of virtual Ethernet devices. The switch carries the frames
itself, so that it needs neither a bridge nor the kernel's `netem`, which not every kernel has. Nothing has
a name outside: when the switch ends, or who started it, everything that runs on the hosts is killed and
the kernel takes the namespaces away.

    test run ──stdin: orders──▶ switch ─┬─ veth ─ host 1: 10.77.0.1
                                                   └─ veth ─ host 2: 10.77.0.2
"""

import ctypes
import heapq
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG = 1
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
ALL_PROTOCOLS = 3
LIBC = ctypes.CDLL(None, use_errno=True)


class NotAllowedError(Exception):
    """This machine does not let the tests have network namespaces."""


class Network:
    """`hosts` of them, each with an address of its own."""

    def __init__(self, hosts=2):
        arguments = [sys.executable, "-S", "-E", __file__, "switch", os.getpid(), hosts]
        self._switch = subprocess.Popen(
            list(map(str, arguments)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            told = json.loads(self._switch.stdout.readline() or '{"why": "the switch ended"}')
            if "why" in told:
                raise NotAllowedError(f"network namespaces are not allowed here: {told['why']}")
        except BaseException:
            self.end()
            raise
        self.hosts = [Host(self, number, pid) for number, pid in enumerate(told["hosts"])]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.end()

    def order(self, **words):
        """Tells the switch; returns when it does so."""
        self._switch.stdin.write(json.dumps(words) + "\n")
        self._switch.stdin.flush()
        return json.loads(self._switch.stdout.readline())

    def end(self):
        self._switch.stdin.close()
        self._switch.wait(20)
        self._switch.stdout.close()


class Host:
    """One of a network's."""

    def __init__(self, network, number, pid):
        self._network, self._number, self._pid = network, number, pid
        self.address = address(number)

    @property
    def command(self):
        """What a program is started through to run there."""
        return [sys.executable, "-S", "-E", __file__, "enter", str(self._pid)]

    def cut(self):
        """Nothing reaches it and nothing leaves it; nobody is told."""
        self._network.order(host=self._number, up=False)

    def join(self):
        self._network.order(host=self._number, up=True)

    def slow(self, delay=0.0, loss=0.0):
        """Each frame to it or from it takes so many seconds more, or is lost with this probability."""
        self._network.order(host=self._number, delay=delay, loss=loss)


def address(number):
    return f"10.77.0.{number + 1}"


# In the switch


class Line:
    """The switch's end of the cable to one host."""

    def __init__(self, number):
        self.up, self.delay, self.loss = True, 0.0, 0.0
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        # Checksums and large segments stay as the sender's kernel left them to its device.
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.bind((f"host{number}", ALL_PROTOCOLS))
        self.socket.setblocking(False)


class Switch:
    def __init__(self, lines):
        self.lines = lines
        self.known = {}  # a device's address -> its line
        self.late = []  # frames under way: (due, order, line, frame)
        self.count = 0
        self.random = random.Random(77)

    def carry(self, line):
        """Takes what one host has sent."""
        for _ in range(64):
            try:
                frame = line.socket.recv(1 << 17)
            except BlockingIOError:
                return
            # Ten bytes of the device's header, then receiver and sender.
            target, source = frame[10:16], frame[16:22]
            self.known[source] = line
            known = None if target[0] & 1 else self.known.get(target)
            for other in self.lines if known is None else [known]:
                if other is not line:
                    self._send(line, other, frame)

    def _send(self, line, other, frame):
        if not (line.up and other.up):
            return
        if self.random.random() < 1 - (1 - line.loss) * (1 - other.loss):
            return
        delay = line.delay + other.delay
        if delay:
            self.count += 1
            heapq.heappush(self.late, (time.monotonic() + delay, self.count, other, frame))
        else:
            self._deliver(other, frame)

    def _deliver(self, line, frame):
        try:
            line.socket.send(frame)
        except OSError:
            pass  # as a cable does: who sent it sends it again

    def deliver_due(self):
        """Delivers what is due; returns how long nothing else is."""
        while self.late:
            wait = self.late[0][0] - time.monotonic()
            if wait > 0:
                return wait
            _due, _order, line, frame = heapq.heappop(self.late)
            if line.up:
                self._deliver(line, frame)
        return None

    def obey(self, order):
        line = self.lines[order.pop("host")]
        for name, value in order.items():
            setattr(line, name, value)

    def run(self, orders, over):
        """Until the orders end, or the process that `over` stands for."""
        sockets = {line.socket: line for line in self.lines}
        with orders:
            while True:
                ready = select.select([orders, over, *sockets], [], [], self.deliver_due())[0]
                if over in ready:
                    return
                if orders in ready:
                    text = orders.readline()
                    if not text:
                        return
                    self.obey(json.loads(text))
                    print("true", flush=True)
                for each in ready:
                    if each in sockets:
                        self.carry(sockets[each])


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def unshare():
    """A network namespace, as root or as root of a user namespace."""
    if LIBC.unshare(CLONE_NEWNET) == 0:
        return
    user, group = os.geteuid(), os.getegid()
    checked(LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNET))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"0 {user} 1"),
        ("gid_map", f"0 {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def new_host(number):
    """A child that keeps a namespace alive, with its device; returns its id."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            checked(LIBC.unshare(CLONE_NEWNET))
            os.write(told, b"1")
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(told)
    if not os.read(ready, 1):
        raise OSError("unshare")
    os.close(ready)
    ip("link", "add", f"host{number}", "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    ip("link", "set", f"host{number}", "up")
    inside = [sys.executable, "-S", "-E", __file__, "enter", str(pid), "ip"]
    for words in (
        ["link", "set", "lo", "up"],
        ["addr", "add", f"{address(number)}/24", "dev", "eth0"],
        ["link", "set", "eth0", "up"],
    ):
        subprocess.run([*inside, *words], check=True, capture_output=True)
    return pid


def end_all(hosts):
    """Kills whatever runs on these hosts."""
    inside = {os.stat(f"/proc/{pid}/ns/net").st_ino for pid in hosts}
    for pid in hosts:
        # From now on nobody can enter it any more.
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    # Until nobody is left who might start another meanwhile.
    while True:
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{name}/ns/net").st_ino in inside:
                    found.append(int(name))
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                continue  # it has just ended, or is none of ours
        if not found:
            return
        time.sleep(0.001)


def switch(run, count):
    hosts = []
    try:
        over = os.pidfd_open(run)
        unshare()
        hosts = [new_host(number) for number in range(count)]
        device = Switch([Line(number) for number in range(count)])
    except (OSError, subprocess.CalledProcessError, AttributeError) as e:
        why = "ip (iproute2) is not installed" if isinstance(e, FileNotFoundError) else str(e)
        print(json.dumps({"why": why}), flush=True)
        return
    print(json.dumps({"hosts": hosts}), flush=True)
    try:
        device.run(sys.stdin, over)
    finally:
        end_all(hosts)


def enter(pid, command):
    """Runs a command on the host that a process keeps alive."""
    if os.stat(f"/proc/{pid}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino:
        kinds = ["user", "net"]
    else:
        kinds = ["net"]
    for kind in kinds:
        with open(f"/proc/{pid}/ns/{kind}") as space:
            checked(LIBC.setns(space.fileno(), 0))
    os.execvp(command[0], command)


if __name__ == "__main__":
    if sys.argv[1] == "switch":
        switch(int(sys.argv[2]), int(sys.argv[3]))
    else:
        enter(int(sys.argv[2]), sys.argv[3:])
