"""Files that only their owner can have written, and that are whole: their content may be run as code."""
import contextlib
import hashlib
import os
import stat
import tempfile
import time

LARGEST = 1 << 28                       # bytes of a file that is read; compiled kernels take a few million
PARTIAL = ".partial"
STALE = 3600                            # seconds after which a partial file is what a killed process left
# No links; and a pipe that nothing writes to is not waited for.
FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
DIGEST = hashlib.sha256


def check_private(facts, path):
    """Raise PermissionError where others could have written path, of which facts is the os.stat_result."""
    if not hasattr(os, "geteuid"):      # Windows, where the user's folders are the user's own
        return
    if facts.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to another user")
    if stat.S_IMODE(facts.st_mode) & 0o077:
        raise PermissionError(f"{path} is open to other users; chmod -R go= mends that")


def check_folder(path):
    """Raise OSError where path is no folder, only a link to one, or open to others."""
    facts = os.lstat(path)
    if not stat.S_ISDIR(facts.st_mode):
        raise NotADirectoryError(f"{path} is not a folder")
    check_private(facts, path)


def make_folders(root, path):
    """Make root and the folder path in it, where they are missing, and check both.

    Raises OSError where nothing can be written.
    """
    os.makedirs(os.path.dirname(root), exist_ok=True)
    for folder in (root, path):
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        check_folder(folder)
    tempfile.TemporaryFile(dir=path).close()


def read(path):
    """What `write` wrote. Raises OSError or ValueError where there is nothing, or something else."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | FLAGS)) as file:
        facts = os.fstat(file.fileno())
        check_private(facts, path)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST:
            raise ValueError(f"{path} is not a file of this program")
        content = file.read()
    size = DIGEST().digest_size
    if DIGEST(content[size:]).digest() != content[:size]:
        raise ValueError(f"{path} is damaged")
    return content[size:]


def write(path, content):
    """Replace the file path, or what stands in its place, by content and its digest, whole or not at all."""
    folder, name = os.path.split(path)
    number, partial = tempfile.mkstemp(PARTIAL, name, folder)
    try:
        with open(number, "wb") as file:
            file.write(DIGEST(content).digest())
            file.write(content)
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def remove_files(folder, suffix):
    """Remove files of ours from a folder that is private, and the folder if nothing else is in it."""
    with contextlib.suppress(OSError):
        check_folder(folder)
        for entry in os.scandir(folder):
            if entry.name.endswith((suffix, PARTIAL)) and entry.is_file(follow_symlinks=False):
                os.unlink(entry.path)
        os.rmdir(folder)


def remove_partial(folder):
    """Remove what processes left that were killed while they wrote."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            age = time.time() - entry.stat(follow_symlinks=False).st_mtime
            if entry.name.endswith(PARTIAL) and age > STALE:
                os.unlink(entry.path)
