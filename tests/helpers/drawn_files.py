"""Files of kinds that people have, drawn at random: how they write numbers, dates, names, gaps, and the file itself."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import random
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from harmonic.tables.spellings.months import MONTHS

Cells = Callable[[random.Random, int], list[str]]

AFFIXES = [
    ("", ""), ("", ""), ("$", ""), ("€ ", ""), ("", " €"), ("", "%"), ("", " %"), ("CHF ", ""), ("", " kg"), ("", "°C"),
    ("£", "k"), ("", " sqft"), ("", " sq ft"), ("$", "/mo"), ("±", ""), ("R$ ", ""), ("", " mmol/l"),
]  # fmt: skip
MARKS = [
    (".", ""), (".", ","), (",", ""), (",", "."), (",", " "), (",", "\u00a0"), (",", "\u202f"), (".", "'"), (".", "’"),
]  # fmt: skip
DATES = [
    "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d %b %Y", "%b %d, %Y", "%d-%b-%y", "%B %d, %Y", "%Y%m%d", "%Y-%m",
    "%d/%m/%y", "%d.%m.%y", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S+02:00", "%d.%m.%Y %H:%M",
    "%Y-%m-%d %H:%M:%S +0200", "%m/%d/%Y %I:%M %p", "%d/%m/%Y %I:%M:%S %p", "%Y-%m-%d %H:%M:%S.%f", "%H:%M", "%H:%M:%S",
    "%I:%M %p", "%b %Y", "%b-%y", "%G-W%V", "%a, %d %b %Y", "%Y%m%d%H%M%S", "%Y%m", "%m/%Y", "%Y/%m/%d", "%Y.%m.%d",
    "%Hh%M", "%d/%m/%Y %Hh%M", "[%d/%b/%Y:%H:%M:%S +0000]", "%Y年%m月%d日", "%d. %B %Y", "%Y-%m-%d at %H:%M", "%d%b%Y",
]  # fmt: skip


def numbers(spin: random.Random, rows: int) -> list[str]:
    """Numbers of one way of writing."""
    (front, back), (point, group) = spin.choice(AFFIXES), spin.choice(MARKS)
    places, size, negative = spin.randint(0, 3), spin.choice([10, 1000, 10**6]), spin.choice(["", "", "-", "()", "5-"])
    plus = spin.random() < 0.1 and not negative and front != "±"
    negative = "" if front == "±" or "/" in back else negative

    def write(value: float) -> str:
        text = f"{abs(value):,.{places}f}".replace(",", "_").replace(".", point).replace("_", group)
        below = value < 0 and any(mark in "123456789" for mark in text)
        if below and negative == "()":
            return f"({front}{text}{back})"
        sign = "-" if below else "+" if plus else ""
        return f"{front}{text}{back}{sign}" if negative == "5-" else f"{sign}{front}{text}{back}"

    low = -size if negative else 0
    return [write(spin.uniform(low, size) or 1.0) for _ in range(rows)]


def dates(spin: random.Random, rows: int) -> list[str]:
    """Dates or times of one format."""
    form, start = spin.choice(DATES), datetime(spin.randint(1970, 2050), 1, 1)
    plain = spin.random() < 0.2 and "-" not in form
    moments = [start + timedelta(seconds=spin.randint(0, 5 * 365 * 86400)) for _ in range(rows)]
    texts = [moment.strftime(form) for moment in moments]
    if plain and "%d" in form and form != "%Y%m%d" and "%d%b" not in form and "%Y%m%d%H" not in form:
        texts = [moment.strftime(form.replace("%d", "%-d").replace("%m", "%-m")) for moment in moments]
    return [text.lower() if form.endswith("%p") and len(texts[0]) % 2 else text for text in texts]


def months_in_words(spin: random.Random, rows: int) -> list[str]:
    """Dates with the months of some language."""
    words = spin.choice(list(MONTHS.values())).split()
    words = spin.choice([words, [word.title() for word in words], [word.upper() for word in words]])
    form = spin.choice(["{0} {1} {2}", "{0:02d} {1} {2}", "{1} {2}", "{0}. {1} {2}", "{0}-{1}-{2}"])
    return [form.format(spin.randint(1, 28), spin.choice(words), spin.randint(1990, 2025)) for _ in range(rows)]


def quarters(spin: random.Random, rows: int) -> list[str]:
    form = spin.choice(["{0}-Q{1}", "Q{1} {0}", "{0}Q{1}", "Q{1}/{0}", "{0} Q{1}"])
    return [form.format(spin.randint(1990, 2025), spin.randint(1, 4)) for _ in range(rows)]


def in_a_zone(spin: random.Random, rows: int) -> list[str]:
    """Moments with the offset of a zone with summer time."""
    zone, colon = ZoneInfo(spin.choice(["Europe/Berlin", "America/New_York", "Australia/Sydney"])), spin.random() < 0.5
    found = []
    for _ in range(rows):
        moment = datetime.fromtimestamp(spin.randint(10**9, 17 * 10**8), UTC).astimezone(zone)
        offset = moment.strftime("%z")
        found.append(moment.strftime("%Y-%m-%dT%H:%M:%S") + (f"{offset[:3]}:{offset[3:]}" if colon else offset))
    return found


def milliseconds(spin: random.Random, rows: int) -> list[str]:
    start, mark, end = datetime(2020, 1, 1), spin.choice(".,"), spin.choice(["", "Z", "+00:00"])
    moments = [start + timedelta(milliseconds=spin.randint(0, 10**11)) for _ in range(rows)]
    return [f"{moment:%Y-%m-%d %H:%M:%S}{mark}{moment.microsecond // 1000:03d}{end}" for moment in moments]


def durations(spin: random.Random, rows: int) -> list[str]:
    form, most = spin.choice(["mm:ss", "h:mm:ss", "mm:ss.f", "days"]), spin.choice([90_000, 400_000])
    seconds = [spin.randint(0, most) for _ in range(rows)]
    if form == "mm:ss":
        return [f"{value // 60:02d}:{value % 60:02d}" for value in seconds]
    if form == "mm:ss.f":
        return [f"{value // 60 % 100:02d}:{value % 60:02d}.{value % 10}" for value in seconds]
    if form == "days":
        return [
            f"{value // 86400} days {value // 3600 % 24:02d}:{value // 60 % 60:02d}:{value % 60:02d}"
            for value in seconds
        ]
    return [f"{value // 3600}:{value // 60 % 60:02d}:{value % 60:02d}" for value in seconds]


def exponents(spin: random.Random, rows: int) -> list[str]:
    letter, point = spin.choice("eE"), spin.choice([".", ".", ","])
    return [f"{spin.uniform(1, 10) * 10 ** spin.randint(-9, 9):.3{letter}}".replace(".", point) for _ in range(rows)]


def powers(spin: random.Random, rows: int) -> list[str]:
    """1.2K and 3.4M."""
    front, places = spin.choice(["", "$"]), spin.randint(1, 2)
    return [f"{front}{spin.uniform(1, 990):.{places}f}{spin.choice('KM')}" for _ in range(rows)]


def uneven(spin: random.Random, rows: int) -> list[str]:
    """1.5, 2.25, 3: each as short as it can be; or 3 and 2.50: all decimals or none."""
    money, point = spin.random() < 0.5, spin.choice([".", ","])
    values = [
        spin.choice([float(spin.randint(1, 99)), spin.randint(1, 9999) / spin.choice([2, 4, 10])]) for _ in range(rows)
    ]
    texts = [
        f"{value:.2f}".removesuffix(".00") if money else f"{value:.2f}".rstrip("0").rstrip(".") for value in values
    ]
    return [text.replace(".", point) for text in texts]


def categories(spin: random.Random, rows: int) -> list[str]:
    pool = ["north", "süd", 'say "hi"', "a,b", "a;b", "x|y", "two\nlines", "tab\there", "None", "T rue", "<i>", "Ja "]
    some = spin.sample(pool, spin.randint(2, 6))
    return [spin.choice(some) for _ in range(rows)]


def codes(spin: random.Random, rows: int) -> list[str]:
    some = spin.choice(
        [["007", "012", "110"], ["2E5", "7E2", "1E3"], ["A11", "B2", "C3"], ["101", "205", "409"], ["01", "02", "10"]]
    )
    return [spin.choice(some) for _ in range(rows)]


def postal(spin: random.Random, rows: int) -> list[str]:
    return [f"{spin.randint(1, 40):05d}" for _ in range(rows)]


def years(spin: random.Random, rows: int) -> list[str]:
    return [str(spin.randint(1950, 2020)) for _ in range(rows)]


def with_sentinels(spin: random.Random, rows: int) -> list[str]:
    """Numbers or days, and a stand-in far from them."""
    if spin.random() < 0.5:
        values = [str(spin.randint(50, 90)) for _ in range(rows)]
        return [*values[:-12], *["-999"] * 12]
    days = [f"{spin.randint(2015, 2023)}-0{spin.randint(1, 9)}-1{spin.randint(0, 9)}" for _ in range(rows)]
    return [*days[:-12], *["9999-12-31"] * 12]


def clock(spin: random.Random, rows: int) -> list[str]:
    """517 for 5:17, or 0517."""
    width = spin.choice([1, 4])
    return [f"{spin.randint(5, 23) * 100 + spin.randint(0, 59):0{width}d}" for _ in range(rows)]


def truths(spin: random.Random, rows: int) -> list[str]:
    pair = spin.choice([("True", "False"), ("TRUE", "FALSE"), ("yes", "no"), ("ja", "nein"), ("1", "0"), ("Y", "N")])
    return [spin.choice(pair) for _ in range(rows)]


PLAIN: dict[str, Cells] = {
    "numbers": numbers, "dates": dates, "months": months_in_words, "quarters": quarters, "zone": in_a_zone,
    "milliseconds": milliseconds, "durations": durations, "exponents": exponents, "powers": powers, "uneven": uneven,
    "categories": categories, "codes": codes, "postal": postal, "years": years, "stand-in": with_sentinels,
    "truths": truths, "clock": clock,
    "integers": lambda spin, rows: [str(spin.randint(0, 99)) for _ in range(rows)],
    "floats": lambda spin, rows: [str(round(spin.uniform(0, 9), 2)) for _ in range(rows)],
}  # fmt: skip
TOLD = {"years": "looks like years", "stand-in": "far from the others", "clock": "read as times of day"}
"""What the notes must say of a column of this kind."""
MEASURED = (
    "numbers",
    "dates",
    "months",
    "quarters",
    "zone",
    "milliseconds",
    "durations",
    "exponents",
    "uneven",
    "integers",
)
"""Kinds in which several texts for missing values stay apart."""


def digits(spin: random.Random, size: int) -> str:
    return str(spin.randint(1, 9)) + "".join(str(spin.randint(0, 9)) for _ in range(size - 1))


def person(spin: random.Random) -> str:
    return " ".join("".join(spin.choice("aeiourstln") for _ in range(6)).title() for _ in range(2))


def letters(spin: random.Random, size: int) -> str:
    return "".join(spin.choice("ABCDEFGHJKLMNPRST") for _ in range(size))


IDENTIFIERS: dict[str, Callable[[random.Random], str]] = {
    "e-mail": lambda spin: f"{spin.choice('abcdef')}{digits(spin, 5)}@mail{spin.randint(1, 3)}.example",
    "uuid": lambda spin: str(uuid.UUID(int=spin.getrandbits(128))),
    "ssn": lambda spin: f"{digits(spin, 3)}-{digits(spin, 2)}-{digits(spin, 4)}",
    "iban": lambda spin: f"DE{digits(spin, 20)}",
    "card": lambda spin: digits(spin, 16),
    "spaced card": lambda spin: " ".join(digits(spin, 4) for _ in range(4)),
    "phone": lambda spin: digits(spin, 10),
    "+phone": lambda spin: f"+49 {digits(spin, 3)} {digits(spin, 7)}",
    "(phone)": lambda spin: f"({digits(spin, 3)}) {digits(spin, 3)}-{digits(spin, 4)}",
    "french phone": lambda spin: "06 " + " ".join(f"{spin.randint(0, 99):02d}" for _ in range(4)),
    "code": lambda spin: f"PAT-{digits(spin, 5)}",
    "passport": lambda spin: f"C{digits(spin, 8)}",
    "ip": lambda spin: ".".join(str(spin.randint(1, 254)) for _ in range(4)),
    "17 digits": lambda spin: digits(spin, 17),
    "whole float": lambda spin: f"{digits(spin, 9)}.0",
    "hash": lambda spin: f"{spin.getrandbits(64):016x}",
    "name": person,
    "cpf": lambda spin: f"{digits(spin, 3)}.{digits(spin, 3)}.{digits(spin, 3)}-{digits(spin, 2)}",
    "ahv": lambda spin: f"756.{digits(spin, 4)}.{digits(spin, 4)}.{digits(spin, 2)}",
    "ni number": lambda spin: f"{letters(spin, 2)}{digits(spin, 6)}{letters(spin, 1)}",
    "aadhaar": lambda spin: f"{digits(spin, 4)} {digits(spin, 4)} {digits(spin, 4)}",
    "pan": lambda spin: f"{letters(spin, 5)}{digits(spin, 4)}{letters(spin, 1)}",
    "resident": lambda spin: digits(spin, 17) + spin.choice("0123456789X"),
    "mac": lambda spin: ":".join(f"{spin.randint(0, 255):02x}" for _ in range(6)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnFile:
    """A file, its cells by column, the columns that name people, and what else is true of it.

    `kinds`: what each plain column was drawn as. `markers`: the texts for missing values. `exact`: whether the bytes
    come back; not those that are left out, such as lines without a value.
    """

    data: bytes
    columns: dict[str, list[str]]
    people: set[str]
    kinds: dict[str, str]
    markers: frozenset[str]
    exact: bool = True
    says: tuple[str, ...] = field(default=())


def drawn_file(seed: int) -> DrawnFile:
    """A file of this seed."""
    spin = random.Random(seed)
    rows = spin.randint(40, 70)
    columns: dict[str, list[str]] = {}
    kinds: dict[str, str] = {}
    people: set[str] = set()
    for place in range(spin.randint(1, 4)):
        kind = spin.choice(["numbers", "dates", *PLAIN])
        columns[f"{kind}{place}"] = PLAIN[kind](spin, rows)
        kinds[f"{kind}{place}"] = kind
    for kind in spin.sample(sorted(IDENTIFIERS), spin.randint(0, 2)):
        each = spin.choice([1, 1, 2])
        some = [IDENTIFIERS[kind](spin) for _ in range(-(-rows // each))]
        columns[f"the {kind}"] = [some[row // each] for row in range(rows)]
        people.add(f"the {kind}")
    columns["label"] = [spin.choice("pq") for _ in range(rows)]
    gaps = spin.choice([0.0, 0.0, 0.2])
    markers = spin.choice([[""], ["NA"], ["?"], ["", "NA"], ["", "n/a", "-"], ["NULL"], ["", "?"]])
    for name in columns:
        odd = not set(markers) <= {"", "NA"}  # which are missing values in every column
        if name != "label" and (not odd or kinds.get(name) in MEASURED):
            some = [spin.choice(markers) if spin.random() < gaps else text for text in columns[name]]
            if any(some.count(marker) == 1 for marker in markers if odd):
                continue  # one alone may be a value
            columns[name] = some
    return _written(spin, columns, people, kinds, frozenset(markers))


def _written(
    spin: random.Random, columns: dict[str, list[str]], people: set[str], kinds: dict[str, str], markers: frozenset[str]
) -> DrawnFile:
    mark, end = spin.choice([",", ";", "\t", "|"]), spin.choice(["\n", "\n", "\r\n", "\r"])
    if any("\n" in text for texts in columns.values() for text in texts) and end == "\r":
        end = "\n"
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    text = io.StringIO()
    quoting = spin.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(text, delimiter=mark, lineterminator=end, quoting=quoting)
    writer.writerow(columns)
    measured = [name for name in columns if kinds.get(name) in ("integers", "floats", "years")]
    exact, says = True, []
    extra = spin.choice(["", "", "", "", "labels", "empty", "again"])
    if extra == "labels" and len(measured) > 1:
        writer.writerow([f"[{place}]" for place, _ in enumerate(columns)])
        says.append("below the header")
    writer.writerows(rows)
    if extra == "empty":
        writer.writerows([[""] * len(columns)] * 2)
        exact, says = False, [*says, "2 rows without any value"]
    elif extra == "again":
        writer.writerow(columns)
        exact, says = False, [*says, "repeat the header"]
    head = spin.choice(["", "", "", f"Report 2023{end}", f"sep={mark}{end}", f"# made by hand{end}", "account"])
    if head == "account":
        head = f"Account{mark}DE{digits(spin, 20)}{end}" if len(columns) > 3 else ""
        exact = exact and not head
        says += ["left out of new files"] if head else []
    whole = head + text.getvalue()
    encoding = spin.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"])
    if encoding == "utf-8" and spin.random() < 0.2 and _is_western(whole):
        encoding = "cp1252"
    data = whole.encode(encoding)
    pack = spin.choice([None] * 12 + [gzip.compress, bz2.compress, lzma.compress, _zipped])
    if pack is not None:
        data, exact, says = pack(data), False, [*says, "compressed"]
    return DrawnFile(
        data=data, columns=columns, people=people, kinds=kinds, markers=markers, exact=exact, says=tuple(says)
    )


def _is_western(text: str) -> bool:
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _zipped(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("t.csv", data)
    return packed.getvalue()
