"""What bench/run and bench/policies share: servers as processes, loads, and what they cost."""
import glob
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PORT = 8190
TICK = os.sysconf("SC_CLK_TCK")
WORKERS = len(os.sched_getaffinity(0))


def peer(name):
    found = glob.glob(f"{ROOT}/.peers/{name}/node_modules/*/bin/node")
    if not found:
        sys.exit(f"bench: {name} is not in .peers; run: scripts/setup bench")
    return found[0]


def children(pid):
    try:
        pids = open(f"/proc/{pid}/task/{pid}/children").read().split()
    except OSError:
        return []
    return [p for child in pids for p in [int(child)] + children(int(child))]


def cpu_seconds(pids):
    total = 0.0
    for pid in pids:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICK
    return total


def running_seconds(pid):
    """Of a process with one thread, to the nanosecond: on a CPU."""
    return int(open(f"/proc/{pid}/schedstat").read().split()[0]) / 1e9


def pss_kib(pid):
    return int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M).group(1))


def wakeups(pid):
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M).group(1))


class Server:
    """A server process that is up, and its workers."""

    def __init__(self, command, workers, port=PORT):
        # What a shell starts in the background ignores SIGINT, and so would what it starts.
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).read()
                if len(children(self.process.pid)) >= workers:
                    break
            except OSError:
                pass
            if time.monotonic() > deadline:
                self.process.kill()
                sys.exit(f"bench: {command[0]} did not serve: {self.process.communicate()[0]}")
            time.sleep(0.05)
        time.sleep(0.3)  # for the last of them to listen
        self.pids = [self.process.pid] + children(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=40)[0]


def load(server, seconds, *options):
    """(requests, requests/s, CPU microseconds per request) under wrk."""
    before = cpu_seconds(server.pids)
    text = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}", *options, f"http://127.0.0.1:{PORT}/"],
                          check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(server.pids) - before
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    errors = re.search(r"(Socket errors|Non-2xx).*", text)
    if errors:
        print(f"  ! {errors.group(0)}: {' '.join(server.process.args)[-120:]}")
    return requests, rate, used / requests * 1e6


def goal(met):
    return "" if met else "   <- short of the goal"
