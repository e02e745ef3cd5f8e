"""Processes that run ``seawall`` commands, as many as a test wants to kill, without waiting for the imports each time.

A process of its own imports what the commands need and then forks for each of them: what runs in the fork is the
command line itself, with its own pid, files and sockets, and it dies of SIGKILL as any other process does.

Run as a program it reads one command a line from standard input, as JSON (``[log file, argument, …]``), and answers
with its pid.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx


class Forks:
    """Starts commands. Ends whatever still runs when its block ends."""

    def __init__(self, *modules: str) -> None:
        """``modules``: what every command needs, imported beforehand."""
        self.running: list[Command] = []
        self._process = subprocess.Popen(
            [sys.executable, __file__, *modules], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for command in self.running:
            command.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def start(self, log: Path, *arguments: str) -> "Command":
        """Run ``seawall`` with these arguments; what it prints goes into the log file."""
        with self._lock:
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.write(json.dumps([str(log), *arguments]) + "\n")
            self._process.stdin.flush()
            command = Command(int(self._process.stdout.readline()), log)
        self.running.append(command)
        return command


class Command:
    """A command that runs."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self._url: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, and wait for the end."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return
        until = time.monotonic() + 20
        while self.alive:
            assert time.monotonic() < until, f"{self.pid} does not end: {self.log.read_text()}"
            time.sleep(0.002)

    @property
    def url(self) -> str | None:
        """Where it serves; None before it does."""
        if self._url is None:
            for line in self.log.read_text().splitlines():
                if line.startswith("http://"):
                    self._url = line.split()[0].rstrip("/")
        return self._url

    def wait_for(self, *states: str, seconds: float = 30.0) -> None:
        """Wait until the service says that it is in one of these states."""
        until = time.monotonic() + seconds
        with httpx.Client(timeout=5) as client:
            while True:
                assert self.alive, self.log.read_text()
                if self.url is not None:
                    try:
                        if client.get(f"{self.url}/healthz").json()["state"] in states:
                            return
                    except httpx.TransportError:
                        pass
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.005)


@contextmanager
def services() -> Iterator[Forks]:
    """Starts of ``seawall serve``."""
    with Forks("seawall.cli", "seawall.service.app", "seawall.service.keyfiles", "uvicorn", "psycopg") as forks:
        yield forks


def _main(modules: list[str]) -> None:
    for module in modules:
        __import__(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead, so that their pids are free at once
    for line in sys.stdin:
        log, *arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _run(log, arguments)
        print(pid, flush=True)


def _run(log: str, arguments: list[str]) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(old, new)
    os.closerange(3, 256)
    from seawall.cli import app

    status = 1
    try:
        app(arguments, standalone_mode=True)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _main(sys.argv[1:])
