"""Runs a command as if nobody stood between it and the terminal, and hears what it prints.

Where our stdout is a terminal the command gets one too: a pseudo-terminal of the same size, with ours in raw
mode in front of it. Elsewhere it gets pipes, which are copied byte for byte, and our own stdin.
"""

import errno
import fcntl
import os
import selectors
import signal
import socket
import subprocess
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

STDIN, STDOUT, STDERR = 0, 1, 2

_FORWARDED = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_READ_BYTES = 65_536
# What the command left behind may hold its output open; what it printed itself has come by then.
_LAST_WORDS_S = 0.2

Heard = Callable[[int, bytes], object]


class Command:
    """A command that runs in a process group of its own.

    Raises OSError where it cannot be started.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.is_held = False
        # Once a person has ended it, it is not stopped again.
        self._may_be_held = True
        self._terminal: int | None = None
        self._outputs: dict[int, int] = {}  # what is read, and where it goes
        self._selector = selectors.DefaultSelector()
        stdin: int | None = None
        stdout = stderr = subprocess.PIPE
        inner: int | None = None
        if os.isatty(STDOUT):
            self._terminal, inner = os.openpty()
            # A program that asks finds the terminal as the person has set it.
            termios.tcsetattr(inner, termios.TCSANOW, termios.tcgetattr(STDOUT))
            self._fit()
            stdout = inner
            stderr = inner if os.isatty(STDERR) else stderr
            stdin = inner if os.isatty(STDIN) else stdin
        try:
            self.process = subprocess.Popen(
                arguments,
                start_new_session=True,
                # Before any other thread runs here, and only a system call.
                preexec_fn=None if inner is None else _take_terminal,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
            )
        finally:
            if inner is not None:
                os.close(inner)
        if self._terminal is not None:
            self._outputs[self._terminal] = STDOUT
        for pipe, target in ((self.process.stdout, STDOUT), (self.process.stderr, STDERR)):
            if pipe is not None:
                self._outputs[pipe.fileno()] = target
        self._typed = b""
        self._before_raw: list[Any] | None = None

    # ------------------------------------------------------------------------------------- control

    def signal(self, number: signal.Signals) -> None:
        """Signals the command and what it started."""
        # Not waited for yet, it keeps its id, so that the signal meets no stranger.
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            # Held, it could not hear it.
            if self.is_held and number in _ENDING:
                self._may_be_held = False
                self.let_go()

    def hold(self) -> None:
        """Stops it where it is; SIGSTOP cannot be ignored."""
        if not self.is_held and self._may_be_held:
            self.signal(signal.SIGSTOP)
            self.is_held = True

    def let_go(self) -> None:
        if self.is_held:
            self.is_held = False
            self.signal(signal.SIGCONT)

    # ------------------------------------------------------------------------------------- running

    def run(self, heard: Heard, tick: Callable[[], object], tick_s: float) -> int:
        """Passes everything on until the command ends; returns 128 + n for signal n, else its exit status.

        `heard` gets what it prints on STDOUT or STDERR, and `tick` is called every `tick_s` seconds.
        """
        with self._wakes(), self._signals(), self._raw_terminal():
            for output in self._outputs:
                os.set_blocking(output, False)
                self._selector.register(output, selectors.EVENT_READ)
            due = time.monotonic() + tick_s
            while self.process.poll() is None:
                self._pass_on(max(0.0, due - time.monotonic()), heard)
                if time.monotonic() >= due:
                    # No signal says that the shell has put it there.
                    self._come_to_front()
                    tick()
                    due = time.monotonic() + tick_s
            while self._outputs and self._pass_on(_LAST_WORDS_S, heard):
                pass
        for output in tuple(self._outputs):
            self._close(output)
        self._selector.close()
        status: int = self.process.returncode
        return 128 - status if status < 0 else status

    def _pass_on(self, timeout_s: float, heard: Heard) -> bool:
        """Waits for something to pass on; returns whether any of the command's output came, or ended."""
        has_come = False
        for key, events in self._selector.select(timeout_s):
            fd = key.fd
            if fd in self._outputs and events & selectors.EVENT_READ:
                has_come = True
                self._pass_output(fd, heard)
            if fd == STDIN:
                self._read_typed()
            elif fd == self._terminal and events & selectors.EVENT_WRITE:
                self._write_typed()
            elif isinstance(key.data, socket.socket):
                with suppress(BlockingIOError):
                    key.data.recv(4096)
        return has_come

    def _pass_output(self, fd: int, heard: Heard) -> None:
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:  # how a pseudo-terminal says that nobody has it open any more
                raise
            data = b""
        target = self._outputs[fd]
        if not data:
            self._close(fd)
            return
        try:
            _write(target, data)
        except OSError:
            # Nobody reads it any more: the command learns it as it would without us.
            self._close(fd)
        heard(target, data)

    def _close(self, fd: int) -> None:
        with suppress(KeyError):
            self._selector.unregister(fd)
        del self._outputs[fd]
        if fd == self._terminal:
            os.close(fd)
            self._terminal = None
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None and not pipe.closed and pipe.fileno() == fd:
                pipe.close()

    # ------------------------------------------------------------------------------------ terminal

    def _read_typed(self) -> None:
        typed = os.read(STDIN, _READ_BYTES)
        if not typed:
            self._selector.unregister(STDIN)
        key = self._suspending_key()
        *before, last = typed.split(key) if key else [typed]
        for part in before:
            self._typed += part
            self._write_typed()
            os.killpg(0, signal.SIGTSTP)
        self._typed += last
        self._write_typed()

    def _suspending_key(self) -> bytes | None:
        """What would suspend the command if our terminal were its own: Ctrl-Z, unless it reads that itself.

        Its own terminal cannot do it: nobody in its session could let it go again. Where the command is a
        shell that has put something else to the front, that is stopped there.
        """
        if self._terminal is None or os.tcgetpgrp(self._terminal) != self.process.pid:
            return None
        attributes = termios.tcgetattr(self._terminal)
        key: bytes = attributes[6][termios.VSUSP]
        return key if attributes[3] & termios.ISIG and key != b"\0" else None

    def _write_typed(self) -> None:
        """Hands on what was typed, as fast as the terminal takes it."""
        if self._terminal is None:
            return
        if self._typed:
            with suppress(BlockingIOError):
                self._typed = self._typed[os.write(self._terminal, self._typed) :]
        wants = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._typed else 0)
        self._selector.modify(self._terminal, wants)

    def _fit(self) -> None:
        """Gives the command's terminal the size of ours."""
        if self._terminal is not None:
            size = fcntl.ioctl(STDOUT, termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def _resized(self, number: int, frame: FrameType | None) -> None:
        self._fit()

    @contextmanager
    def _raw_terminal(self) -> Iterator[None]:
        """Keystrokes go to the command as they are; its own terminal makes a signal of Ctrl-C."""
        self._come_to_front()
        try:
            yield
        finally:
            self._leave_front()

    def _come_to_front(self) -> None:
        # In the background the terminal is not ours to read or set.
        if (
            self._before_raw is None
            and self._terminal is not None
            and os.isatty(STDIN)
            and os.tcgetpgrp(STDIN) == os.getpgrp()
        ):
            self._before_raw = termios.tcgetattr(STDIN)
            tty.setraw(STDIN)
            self._selector.register(STDIN, selectors.EVENT_READ)
            self._fit()

    def _leave_front(self) -> None:
        if self._before_raw is not None:
            with suppress(termios.error):  # it may be gone
                termios.tcsetattr(STDIN, termios.TCSADRAIN, self._before_raw)
            self._before_raw = None
            with suppress(KeyError):
                self._selector.unregister(STDIN)

    # ------------------------------------------------------------------------------------- signals

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Stops with the command, until the shell that this runs in lets both go on."""
        was_held = self.is_held
        self.hold()
        self._leave_front()
        ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        # Where there is no such shell the system takes no notice of this, and it goes on at once.
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, ours)
        self._come_to_front()
        if not was_held:
            self.let_go()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def forward(number: int, frame: FrameType | None) -> None:
            self.signal(signal.Signals(number))

        handlers = dict.fromkeys(_FORWARDED, forward)
        handlers |= {signal.SIGWINCH: self._resized, signal.SIGCHLD: lambda number, frame: None}
        handlers[signal.SIGTSTP] = self._suspend
        # What nohup or a script has set to be ignored stays so, here and in the command.
        handlers = {n: do for n, do in handlers.items() if signal.getsignal(n) is not signal.SIG_IGN}
        before = {number: signal.signal(number, do) for number, do in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def _wakes(self) -> Iterator[None]:
        """A signal ends the wait for something to pass on: the command may have ended."""
        reads, writes = socket.socketpair()
        with reads, writes:
            reads.setblocking(False)
            writes.setblocking(False)
            before = signal.set_wakeup_fd(writes.fileno(), warn_on_full_buffer=False)
            self._selector.register(reads, selectors.EVENT_READ, reads)
            try:
                yield
            finally:
                signal.set_wakeup_fd(before)
                self._selector.unregister(reads)


def _take_terminal() -> None:
    # Of a session of its own the command leads, this becomes the terminal.
    fcntl.ioctl(STDOUT, termios.TIOCSCTTY, 0)


def _write(target: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(target, data) :]
        except BlockingIOError:  # somebody else made it so
            with selectors.DefaultSelector() as selector:
                selector.register(target, selectors.EVENT_WRITE)
                selector.select()
