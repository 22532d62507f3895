"""A task's folder, written without trusting what lies there: agents can write to it, and people edit it.

What is appended ends with a line of its own, `<!-- event 17 -->`. It is all that is ever read back: so a
process that goes on where another was killed appends nothing twice, and completes what was cut.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Folder", "Known", "opened"]

PATIENCE = 2.0  # seconds to wait for another process that writes there
_WINDOW = 4096  # bytes of a file's end in which its last mark is looked for first
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# What is no plain file must not be waited for, nor a link be followed.
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BESIDE = ".new"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644  # less what the umask takes

_MARK = re.compile(rb"(?<=\n)<!-- event (\d{1,12}) -->\n")
# Characters that a terminal would obey, that end a line unseen, or turn it around.
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def _plain(text: str) -> str:
    return _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def _unmarked(text: str) -> str:
    """With nothing in it that looks like a mark of ours."""
    return _plain(text).replace("<!-- event", "<! -- event")


@dataclass(slots=True)
class Known:
    """A file as it was left: when it is the same still, its last mark need not be looked for."""

    inode: int
    size: int
    mark: int


@contextmanager
def opened(project: Path, *names: str) -> Iterator[Folder]:
    """The folder below the project's own `.aqm`, made where it is missing, held alone while it is entered.
    OSError when it cannot be, or when a link stands in its place."""
    descriptor = os.open(project, _DIRECTORY)
    try:
        for name in names:
            below = _below(descriptor, name)
            os.close(descriptor)
            descriptor = below
        _hold(descriptor)
        yield Folder(descriptor)
    finally:
        os.close(descriptor)


def _below(parent: int, name: str) -> int:
    try:
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(name, _FOLDER_MODE, dir_fd=parent)
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


def _hold(descriptor: int) -> None:
    """Wait for who writes there; a file system without locks is written all the same."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise
        except OSError:
            return
        time.sleep(0.01)


@dataclass(slots=True)
class Folder:
    """An open folder; `known` is what the same process remembers of the files in it."""

    descriptor: int
    known: dict[str, Known] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return False
        return True

    @contextmanager
    def beside(self) -> Iterator[Folder]:
        """An empty folder whose files replace those of the same names here at its end, if that is reached."""
        with suppress(OSError):
            self._remove(_BESIDE)  # a link, or a file
        below = _below(self.descriptor, _BESIDE)
        try:
            new = Folder(below)
            for name in os.listdir(below):  # noqa: PTH208 (a Path knows no open folder)
                new._remove(name)  # somebody was killed
            yield new
            for name in os.listdir(below):  # noqa: PTH208
                os.rename(name, name, src_dir_fd=below, dst_dir_fd=self.descriptor)
        finally:
            os.close(below)
            with suppress(OSError):
                os.rmdir(_BESIDE, dir_fd=self.descriptor)

    def replace(self, name: str, text: str) -> None:
        """A reader sees the old file or the new one, never half of it; a link is replaced, not followed."""
        new = f".{name}.new"
        with suppress(FileNotFoundError):
            self._remove(new)  # somebody was killed
        file = os.open(new, _NEW, _FILE_MODE, dir_fd=self.descriptor)
        try:
            try:
                _write(file, _plain(text).encode("utf-8", "replace"))
            finally:
                os.close(file)
            os.rename(new, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except OSError:
            with suppress(OSError):
                self._remove(new)
            raise

    def append(self, name: str, head: str, text: str, event: int, newest: int) -> None:
        """Append what event number `event` adds, unless it stands there; a new file begins with `head`. Marks
        above `newest` are not ours."""
        file = self._open(name)
        try:
            status = os.fstat(file)
            known = self._known(file, name, status, newest)
            if event <= known.mark:
                return
            start = f"{_unmarked(head)}\n" if known.mark == 0 else ""
            data = f"{start}\n{_unmarked(text)}\n\n<!-- event {event} -->\n".encode("utf-8", "replace")
            self._complete(file, status.st_size, data, known)
            self.known[name] = Known(status.st_ino, os.fstat(file).st_size, event)
        except OSError:
            self.known.pop(name, None)
            raise
        finally:
            os.close(file)

    def _complete(self, file: int, size: int, data: bytes, known: _Found) -> None:
        """Write `data` behind the last mark. What stands there is its beginning when somebody was killed;
        anything else is a person's, and stays."""
        rest = os.pread(file, min(size - known.end, len(data)), known.end)
        if size - known.end <= len(data) and data.startswith(rest):
            data = data[len(rest) :]
        elif known.mark == 0:
            data = data[data.index(b"\n") + 1 :]  # somebody else's file needs no head
        try:
            _write(file, data)
        except OSError:
            os.ftruncate(file, size)
            raise

    def newest_mark(self, names: Iterable[str], newest: int) -> int:
        """The highest mark in any of the files that are there."""
        return max((self._mark(name, newest) for name in names if self.has(name)), default=0)

    def _mark(self, name: str, newest: int) -> int:
        try:
            file = self._open(name)
        except OSError:
            return 0
        try:
            return self._known(file, name, os.fstat(file), newest).mark
        finally:
            os.close(file)

    def _known(self, file: int, name: str, status: os.stat_result, newest: int) -> _Found:
        known = self.known.get(name)
        if known is not None and (known.inode, known.size) == (status.st_ino, status.st_size):
            return _Found(known.mark, known.size)
        return _last_mark(file, status.st_size, newest)

    def _open(self, name: str) -> int:
        """The plain file of that name; whatever else stands there is taken away first."""
        for last in (False, True):
            try:
                file = os.open(name, _APPEND, _FILE_MODE, dir_fd=self.descriptor)
            except OSError as error:
                if last or error.errno not in (errno.ELOOP, errno.EMLINK, errno.ENXIO):
                    raise
            else:
                status = os.fstat(file)
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                    return file
                os.close(file)
            if not last:
                self._remove(name)
        raise OSError(errno.EINVAL, "no plain file", name)

    def _remove(self, name: str) -> None:
        os.unlink(name, dir_fd=self.descriptor)


@dataclass(frozen=True, slots=True)
class _Found:
    """The last mark of a file, and where what follows it begins."""

    mark: int
    end: int


def _last_mark(file: int, size: int, newest: int) -> _Found:
    window = _WINDOW
    while True:
        start = max(size - window, 0)
        data = os.pread(file, size - start, start)
        for found in reversed(list(_MARK.finditer(data))):
            if int(found[1]) <= newest:
                return _Found(int(found[1]), start + found.end())
        if start == 0:
            return _Found(0, 0)
        window *= 8


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
