"""The text in the bytes of a file: decompressed and decoded."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from io import BytesIO
from zipfile import ZipFile

from harmonic.errors import ConfigError, DataError

_IN_WORDS = re.compile(r"[^\W\d_][£¥¹³¿¼¾Ÿ]|[£¥¹³¿¼¾Ÿ][^\W\d_]")  # letters of Central Europe, as cp1252 reads them
_SAMPLE = 100_000  # bytes that an encoding is found from
_SURE = 0.4  # if more of the letters beyond ASCII stand side by side, the language is not a Western one


def unusable(origin: str, problem: str, fix: str) -> DataError:
    """The error if the content of a file is not a table."""
    return DataError(f"{origin}: {problem}\n  fix: {fix}")


def unpacked(data: bytes, origin: str) -> tuple[bytes, list[str]]:
    """The decompressed bytes of a file, and a note if it was compressed."""
    plain = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ\0": lzma.decompress}
    try:
        for magic, decompress in plain.items():
            if data.startswith(magic):
                return decompress(data), ["the file is compressed; synthetic.csv is not"]
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            import pyarrow as pa

            with pa.CompressedInputStream(BytesIO(data), "zstd") as stream:
                return bytes(stream.read()), ["the file is compressed; synthetic.csv is not"]
        if data.startswith(b"PK\x03\x04"):
            with ZipFile(BytesIO(data)) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/")]
                if any(name.startswith("xl/") for name in names):
                    fix = "save the sheet as CSV (in Excel: Save as, CSV UTF-8)"
                    raise unusable(origin, "is an Excel workbook, not CSV", fix)
                if len(names) != 1:
                    fix = "unpack it, and give the table"
                    raise unusable(origin, f"is an archive of {len(names)} files: {names[:5]}", fix)
                return archive.read(names[0]), ["the file is compressed; synthetic.csv is not"]
    except (OSError, EOFError, lzma.LZMAError, ValueError, RuntimeError) as error:
        raise unusable(origin, f"cannot be decompressed: {error}", "decompress it and give the text") from error
    return data, []


def decoded(data: bytes, origin: str, encoding: str | None) -> tuple[str, str, list[str]]:
    """The text, its encoding, and a note if the encoding is a guess."""
    if not data.strip():
        raise unusable(origin, "is empty", "give a CSV file with a header and rows")
    if encoding is None:
        marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        encoding = "utf-16" if marked else "utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8"
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            if b"\0" not in data:
                return _in_another(data, error)
            text = "\0"
        if "\0" not in text:
            return text, encoding, []
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise ConfigError("dataset.encoding", encoding, "unknown encoding", "utf-8, latin-1, utf-16 ...") from error
    except UnicodeDecodeError as error:
        if b"\0" not in data:
            byte = f"byte 0x{data[error.start]:02x} at position {error.start}"
            fix = "save it as UTF-8, or name its encoding: dataset.encoding=latin-1"
            raise unusable(origin, f"is not {encoding} text ({byte})", fix) from error
        text = "\0"
    if "\0" in text:
        fix = "export the table as CSV; if it is text in UTF-16: dataset.encoding=utf-16"
        raise unusable(origin, "is a binary file, not CSV", fix)
    marked = encoding.replace("_", "-") == "utf-8-sig" and not data.startswith(b"\xef\xbb\xbf")
    return text, "utf-8" if marked else encoding, []


def _in_another(data: bytes, error: UnicodeDecodeError) -> tuple[str, str, list[str]]:
    """Text that is not UTF-8: in Windows' encoding of Western languages, in Latin-1, or in another encoding.

    In Western languages letters beyond ASCII stand alone among others. If they stand side by side, it is another
    language, and charset_normalizer finds the encoding.
    """
    try:
        text, encoding = data.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        text, encoding = data.decode("latin-1"), "latin-1"
    beyond = sum(map(len, re.findall(r"[^\x00-\x7f]+", text)))
    together = sum(map(len, re.findall(r"[^\x00-\x7f]{2,}", text)))
    if together > _SURE * beyond:
        from charset_normalizer import from_bytes

        best = from_bytes(data[:_SAMPLE]).best()
        if best is not None:
            text, encoding = data.decode(best.encoding, "replace"), best.encoding
    elif _IN_WORDS.search(text):
        text, encoding = data.decode("cp1250", "replace"), "cp1250"
    shown = text[max(0, error.start - 8) : error.start + 8].split("\n")[0].strip()
    wrong = "if that is wrong: dataset.encoding=latin-1, or its own"
    note = f"the file is not UTF-8 and is read as {encoding} ({shown!r}); {wrong}"
    return text, encoding, [note]
