"""Files written whole or not at all, and what it means when the system refuses one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from .errors import AccessError, Problems

#: Rule → what the system means, what to do next.
_MEANINGS = {
    "disk_full": ("磁盘已满 (the disk is full)", "腾出空间后重新运行 (free some space and run it again)"),
    "read_only": (
        "只读,不能写入 (read-only)", "把工作区移到可写的文件夹 (move the workspace to a folder that can be written)",
    ),
    "open_elsewhere": (
        "正在其他程序中打开 (open in another programme)",
        "关闭 Excel、WPS、PDF 阅读器或浏览器中的该文件后重新运行 (close it there and run it again)",
    ),
    "no_access": (
        "没有权限,或正在其他程序中打开 (no right to it, or open in another programme)",
        "关闭打开它的程序,或向管理员申请权限,再重新运行 (close it there or ask for the right, and run it again)",
    ),
    "missing_file": ("文件或文件夹不存在 (no such file or folder)", "核对路径 (check the path)"),
    "name_too_long": ("路径太长 (the path is too long)", "移到更浅的文件夹 (move it to a folder nearer the top)"),
    "device": (
        "磁盘或网络读写出错 (the disk or the network failed)", "检查磁盘和网络后重新运行 (check them and run it again)",
    ),
}  # fmt: skip
_BY_NUMBER = {
    errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.EFBIG: "disk_full", errno.EROFS: "read_only",
    errno.EBUSY: "open_elsewhere", errno.ETXTBSY: "open_elsewhere", errno.EACCES: "no_access", errno.EPERM: "no_access",
    errno.ENOENT: "missing_file", errno.ENOTDIR: "missing_file", errno.ENAMETOOLONG: "name_too_long", errno.EIO: "device",
}  # fmt: skip
#: Errors of Windows that its numbers of errno do not tell: sharing and lock violation, write-protected, disk full.
_BY_WINDOWS = {32: "open_elsewhere", 33: "open_elsewhere", 19: "read_only", 39: "disk_full", 112: "disk_full"}
_BY_SQLITE = {
    sqlite3.SQLITE_FULL: "disk_full", sqlite3.SQLITE_READONLY: "read_only", sqlite3.SQLITE_CANTOPEN: "no_access",
    sqlite3.SQLITE_PERM: "no_access", sqlite3.SQLITE_BUSY: "open_elsewhere", sqlite3.SQLITE_LOCKED: "open_elsewhere",
    sqlite3.SQLITE_IOERR: "device",
}  # fmt: skip
#: How Excel and WPS name the file that marks a book as open in them.
_LOCKS = ("~$", ".~")


def refusal(error: OSError | sqlite3.Error) -> tuple[str, str, str]:
    """Return what a refusal of the system is: the rule, what it means, what to do next."""
    if isinstance(error, sqlite3.Error):
        return _meant(_sqlite_rule(error), type(error).__name__)
    rule = _BY_WINDOWS.get(getattr(error, "winerror", None) or 0) or _BY_NUMBER.get(error.errno or 0, "")
    return _meant(rule, error.strerror or type(error).__name__)


def refusal_of_number(number: int) -> str:
    """Return what an error number of the system means."""
    return _meant(_BY_NUMBER.get(number, ""), os.strerror(number))[1]


def _sqlite_rule(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bytes tell details of the same kind
    return _BY_SQLITE.get(code, "")


def _meant(rule: str, said: str) -> tuple[str, str, str]:
    if rule:
        return (rule, *_MEANINGS[rule])
    return "unreadable", f"系统拒绝 (the system refused): {said}", "检查文件和权限 (check file and rights)"


def access_error(error: OSError | sqlite3.Error, path: Path | str = "") -> AccessError:
    """Return the one error that tells a refusal of the system: which file, what it means, what to do next."""
    rule, found, advice = refusal(error)
    problems = Problems()
    problems.add(path or getattr(error, "filename", None) or "文件/file", rule, found, advice=advice)
    return AccessError(problems=problems)


@contextlib.contextmanager
def accessing(path: Path | str = "") -> Iterator[None]:
    """Raise what the system refuses within the block as one :class:`AccessError` about this path, or the one it names."""
    try:
        yield
    except OSError as error:
        raise access_error(error, path) from error
    except sqlite3.OperationalError as error:
        if _sqlite_rule(error):  # any other is no refusal of the system
            raise access_error(error, path) from error
        raise


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a place beside a file to write to; what is written becomes the file when the block ends, and is removed if it fails."""
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with accessing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield unfinished
            unfinished.replace(path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def made(folder: Path) -> Path:
    """Make a folder where it is absent and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def put_in_place(new: Mapping[Path, Path], keep: Path) -> None:
    """Put several new files (place → new file) in the places of old ones: all, or none where one is refused.

    Parameters
    ----------
    keep
        An empty folder on the same disk, for the old files until all is done.
    """
    done: list[Callable[[], object]] = []
    try:
        for number, (place, file) in enumerate(new.items()):
            with accessing(place):
                if place.exists():
                    old = keep / f"{number}{place.suffix}"
                    shutil.copy2(place, old)
                    done.append(lambda old=old, place=place: old.replace(place))  # type: ignore[misc]
                else:
                    done.append(lambda place=place: place.unlink(missing_ok=True))  # type: ignore[misc]
                file.replace(place)
    except BaseException:
        for undo in reversed(done):
            with contextlib.suppress(OSError):  # what was refused was not changed
                undo()
        raise


def check_replaceable(path: Path) -> None:
    """Raise an error where a file is open in a programme that lets nobody replace it, before anything is written.

    Windows refuses to rename such a file even to itself.
    """
    if path.exists():
        with accessing(path):
            path.rename(path)


def is_lock(path: Path) -> bool:
    """Tell whether this is the file by which Excel or WPS marks a book as open."""
    return path.name.startswith(_LOCKS)


def open_books(folder: Path) -> list[str]:
    """Return the names of the files in a folder that are open in Excel or WPS."""
    if not folder.is_dir():
        return []
    marks = [path for path in folder.iterdir() if is_lock(path)]
    names = {path.name[2:].removeprefix("lock.").removesuffix("#") for path in marks}
    return sorted(name for name in names if (folder / name).exists())


def open_notice(name: str) -> str:
    """Say that a file is read while it is open elsewhere."""
    return f"{name} 正在其他程序中打开,读入的是最后保存的内容 (it is open in another programme; what was last saved is read)"
