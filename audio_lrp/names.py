"""Names for sounds that are shown together, and for the files that are written about them."""
import hashlib
import pathlib
import unicodedata

from lrp_core.text import MESSAGE, clean

LONGEST_NAME = 255  # bytes of a file name
NUMBERED = 6        # bytes kept for the number that tells equal stems apart
PORTS = [f"{port}{number}" for port in ("com", "lpt") for number in range(10)]
DEVICES = {"con", "prn", "aux", "nul", *PORTS}  # what Windows takes for a device, whatever the ending


def shortest_names(paths):
    """What to call each file: its name, and as many of its folders as tell it from files of the same name."""
    tails = []
    for path in paths:
        parts = pathlib.Path(path).parts
        others = [pathlib.Path(other).parts for other in paths if other != path]
        different = (n for n in range(1, len(parts)) if all(other[-n:] != parts[-n:] for other in others))
        length = next(different, len(parts))
        tails.append(clean(pathlib.Path(*parts[-length:]), MESSAGE))
    return tails


def unique_stems(paths, ending):
    """A different stem for every path, in order, for the files that are written about it.

    ending: the longest that a stem gets; both together are a file name that every system takes. What cannot
    be printed becomes "_". Stems differ by more than case and the way accents are written, which some systems
    ignore, and none is another one's with "-profiles".
    """
    stems, taken = [], set()
    for path in paths:
        stem = base = safe_stem(pathlib.Path(path).stem, LONGEST_NAME - len(ending) - NUMBERED)
        number = 2
        while {same(stem), same(f"{stem}-profiles")} & taken:
            stem, number = f"{base}-{number}", number + 1
        taken |= {same(stem), same(f"{stem}-profiles")}
        stems.append(stem)
    return stems


def safe_stem(stem, longest):
    """The stem without what cannot be printed, in at most `longest` bytes of UTF-8: a longer one ends in its
    digest.
    """
    safe = "".join(c if c.isprintable() else "_" for c in stem)
    if safe.split(".")[0].strip().casefold() in DEVICES:
        safe = f"_{safe}"
    if len(safe.encode()) <= longest:
        return safe
    digest = hashlib.sha256(stem.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe.encode()[:longest - 1 - len(digest)].decode(errors='ignore')}-{digest}"


def same(stem):
    """The key by which file systems that ignore case and the form of accents find a file."""
    return unicodedata.normalize("NFC", stem).casefold()
