"""What a column is for: something to learn, or a name of someone, free text, a constant. Decided by evidence.

An identifier is known by the form of its values (an e-mail address, a card number), by being made like a code and
another in nearly every row, or by standing in the rows of one person only. What is different in nearly every row and
fits none of these is not understood: it is asked about, and not released.
"""

from __future__ import annotations

import ipaddress
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from harmonic.tables.column_types.kinds import infer_kind
from harmonic.tables.columns import Kind
from harmonic.tables.spellings.columns import Doubt
from harmonic.tables.spellings.date_formats import find_format


class Role(StrEnum):
    """Why a column is kept from the generator."""

    IDENTIFIER = "identifier"
    TEXT = "text"
    CONSTANT = "constant"
    DROP = "drop"
    UNCLEAR = "unclear"  # nobody can tell: a question to the user


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a column is taken for. role None: something to learn. `why` in words.

    `against`: how many of its values speak against it, with `examples` of them. `grouped`: an identifier that stands
    in several rows each. `by_form`: the values alone name someone, whatever the column is called.
    """

    role: Role | None = None
    why: str = ""
    against: int = 0
    examples: tuple[str, ...] = ()
    grouped: bool = False
    by_form: bool = False


NOTHING = Finding()
LEAST_ROWS = 20  # fewer rows say nothing about whether a value ever comes twice
MOSTLY = 0.9  # share of distinct texts from which a column has another one in nearly every row
_WORDS = 4.0  # words a cell from which texts are prose
_LARGELY, _MANY = 0.75, 100  # the same of codes, of which there are so many
_LEAST_PEOPLE = 20  # different values from which rows are those of many people
_LEAST_LONG = 10  # the same for long numbers and codes, of which a few are categories seldom
_ROWS_PER_PERSON = 10.0  # more rows a value, and it is a group of people rather than one
_LONG = 9  # digits from which a whole number is rather a name than a quantity
_DRAWN_BITS = 25.0  # which of each place's marks it is, from which codes of one shape are drawn for someone
_CARD = 13  # digits from which nothing is counted or measured any more
_NAMED_ONE = re.compile(  # says that a value stands for one person or thing
    r"(?i:(^|[\W_])((id|uuid|guid)s?|ssn|iban|passport|licen[cs]e|account|acct|phone|mobile|telephone|e-?mail|mrn|nhs|"
    r"bsn|imei|vin|username|token)$)|[a-z](Id|ID)$"
)
_NAMED = re.compile(  # the same, or says so only of values that are all different
    _NAMED_ONE.pattern + r"|(?i:(^|[\W_])((key|no|nr|number|index)s?|idx|rownames|rowid|tel|fax|login|user|card|mac|ip|"
    r"policy|membership)$)|[a-z](No|Nr)$|^Unnamed: \d+$"
)
_SOMEONE = re.compile(  # whole numbers under such a name say whose a row is
    r"(?i:(^|[\W_])(subject|individual|participant|respondent|proband|patient|person|pupil|student|household|customer|"
    r"client|employee|animal|user|member)$)"
)
_NAMED_TIME = re.compile(r"(?i)time|date|stamp|created|updated|modified|epoch|seen|since|when|(^|_)(ts|at|on)$")
_PERSON = re.compile(
    r"(?i:(^|[\W_])(name|names|surname|forename|firstname|lastname|fullname|vorname|nachname|nom|prenom|prénom|nombre|"
    r"apellido|cognome|naam|voornaam|achternaam|patient|customer|client|employee|person|contact|kunde|author|owner|"
    r"имя|фамилия|фио|姓名|名字|名前|氏名|이름|성명)$)"
)
_PLACE = re.compile(r"(?i:zip|postal|postcode|plz|cp$|postleitzahl|(^|[\W_])(cep|cap|npa)$)")
_NUMBER = r"[+-]?(\d{1,3}([.,’' ]\d{3})+([.,]\d{1,2})?|\d+([.,]\d+)?)"
_DECIMAL = re.compile(
    r"\d[.,](\d{1,2}|\d{4,})(?!\d)|\d\.\d+, ?-?\d+\.\d"
)  # three behind a mark may be thousands, or a code's
_QUANTITY = re.compile(  # a number with its unit, or several numbers
    rf"{_NUMBER} ?(k|K|M|m|B|bn|Mio\.?|Mrd\.?|[a-zµ]{{1,2}}²?)|\D?{_NUMBER}( ?[-–/x×,;] ?\D?{_NUMBER})*.?"
)
_EAST_ASIAN = re.compile(r"[\u4e00-\u9fff]{2,4}|[\uac00-\ud7a3]{2,4}")
_MONTH = r"(?:[Jj]an|[Ff]e[bv]|[Mm][aä]r|[Aa][pbv]r|[Mm]a[iy]|[Jj]u[nli]|[Aa]ug|[Ss]ep|[Oo][ckt]t|[Nn]ov|[Dd][ei][cz])"
_MOMENT = re.compile(  # something with a day in it, or a time of day
    rf"(?<!\d)(0?[1-9]|[12]\d|3[01])[-/. ]+{_MONTH}|{_MONTH}\w*\.?[-/. ]+(0?[1-9]|[12]\d|3[01])(?!\d)|"
    r"(?<!\d)(19|20)\d\d[-/.年] ?(0?[1-9]|1[0-2])[-/.月] ?(0?[1-9]|[12]\d|3[01])(?!\d)|"
    r"(?<!\d)(0?[1-9]|[12]\d|3[01])[-/.](0?[1-9]|1[0-2])[-/.](19|20)?\d\d(?!\d)|"
    r"(?<!\d)(0?[1-9]|1[0-2])[-/.](0?[1-9]|[12]\d|3[01])[-/.](19|20)?\d\d(?!\d)|(?<![\d:])([01]?\d|2[0-3])[:h][0-5]\d(?![\d])"
)


def _is_address(text: str) -> bool:
    if text.count(".") != 3 and text.count(":") < 2:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_iban(text: str) -> bool:
    from stdnum import iban

    return bool(re.fullmatch(r"[A-Z]{2}\d{2}[ A-Z0-9]{11,40}", text)) and bool(iban.is_valid(text))


def _is_card(text: str) -> bool:
    from stdnum import luhn

    digits = re.sub("[ -]", "", text)
    return bool(re.fullmatch(r"\d{13,19}", digits)) and bool(luhn.is_valid(digits))


def _is_phone(text: str) -> bool:
    if not re.fullmatch(r"(\+|00)\d[\d ()/.-]{6,20}", text):
        return False
    import phonenumbers

    try:
        number = phonenumbers.parse("+" + text.lstrip("+0"), None)
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_possible_number(number))


FORMS: Mapping[str, Callable[[str], bool]] = {
    "an e-mail address": lambda text: bool(re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}", text)),
    "a UUID": lambda text: bool(re.fullmatch(r"(?i)\{?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?", text)),
    "an IBAN": _is_iban,
    "a social security number": lambda text: bool(re.fullmatch(r"\d{3}-\d{2}-\d{4}", text)),
    "an IP address": _is_address,
    "a hardware address": lambda text: bool(re.fullmatch(r"(?i)[0-9a-f]{2}([:-][0-9a-f]{2}){5}", text)),
    "a phone number": _is_phone,
    "a card number": _is_card,
}
"""What names someone whatever the rest of the column holds, by its form."""
_SHORT_NUMBER = re.compile(r"[+-]?\d{0,12}(\.\d*)?")
_BY_CHANCE = {"a card number": 0.8}  # one number in ten passes for one


def forms_of(values: Collection[str]) -> Counter[str]:
    """How many of the distinct values have each form that names someone; one by chance is left out."""
    counts: Counter[str] = Counter()
    for text in values:
        text = text.strip()
        if not 7 <= len(text) <= 254 or text.isalpha() or _SHORT_NUMBER.fullmatch(text):
            continue
        for form, fits in FORMS.items():
            if fits(text):
                counts[form] += 1
                break
    for form, share in _BY_CHANCE.items():
        if counts[form] < share * len(values):
            del counts[form]
    return counts


def named_by_form(values: Collection[str]) -> list[str]:
    """The distinct values whose form names someone."""
    forms = forms_of(values)
    return [text for text in values if any(FORMS[form](text.strip()) for form in forms)]


def find_role(known: pd.Series, rows: int, doubt: Doubt | None = None) -> Finding:
    """Whether a column is kept from the generator, and why. `known`: its plain texts without the missing ones.

    `doubt`: why it is not read as what most of its values are (harmonic.tables.spellings.columns).
    """
    values = known.unique()
    if len(values) == 0:
        return Finding(role=Role.CONSTANT, why="no value at all")
    forms = forms_of(values)
    named = _by_form(known, forms) if forms else NOTHING
    if named.role is Role.IDENTIFIER:
        return named
    other = _by_make(known, rows, doubt)
    return named if other.role in (None, Role.CONSTANT) and named.role is not None else other


def _by_make(known: pd.Series, rows: int, doubt: Doubt | None) -> Finding:
    """What a column is for by all its values together."""
    values = known.unique()
    if len(values) == 1 and len(known) == rows:
        return Finding(role=Role.CONSTANT, why=f"{values[0]!r} in every row")
    kind = infer_kind(values)
    numbers = _whole_numbers(values)
    if numbers is not None:
        return _of_numbers(known, numbers, rows)
    if kind is not Kind.CATEGORY or find_format(values) is not None:
        return NOTHING
    if rows < LEAST_ROWS or len(known) < LEAST_ROWS:
        return NOTHING
    return _of_texts(known, doubt)


def _by_form(known: pd.Series, forms: Counter[str]) -> Finding:
    distinct = known.unique()
    form, _ = forms.most_common(1)[0]
    named = set(named_by_form(distinct))
    others = known[~known.isin(named)].value_counts()
    plural = re.sub("^an? ", "", form).replace("address", "addresses").replace("number", "numbers")
    why = f"{len(named)} of {len(distinct)} values are {plural}{'' if plural.endswith('s') else 's'}"
    examples = tuple(map(str, others.index[:3]))
    if len(named) * 2 < len(distinct):
        return Finding(role=Role.UNCLEAR, why=why, examples=tuple(sorted(named)[:3]), by_form=True)
    grouped = bool(known.duplicated().any())
    return Finding(role=Role.IDENTIFIER, why=why, against=len(others), examples=examples, grouped=grouped, by_form=True)


def _whole_numbers(values: Collection[str]) -> list[int] | None:
    """The values as whole numbers, written as such or with nothing but zeros behind the point; else None."""
    if not all(re.fullmatch(r"[+-]?(0|[1-9]\d*)(\.0+)?", text) for text in values):
        return None
    return [int(text.partition(".")[0]) for text in values]


def _of_numbers(known: pd.Series, numbers: list[int], rows: int) -> Finding:
    """Whole numbers: a name where they count rows, are long and of one length, or the column's name says so."""
    name, distinct = str(known.name), len(numbers)
    lengths = Counter(len(str(abs(number))) for number in numbers)
    length, of_it = lengths.most_common(1)[0]
    whole = all("." not in text for text in known.unique())
    alone = distinct == len(known)
    per_value = len(known) / distinct
    if distinct > 1 and length >= _CARD and of_it * 2 > distinct and not _are_moments(name, numbers) and per_value < 2:
        return _identifier(f"numbers of {length} digits, which measure nothing", known)
    if rows < LEAST_ROWS or len(known) < LEAST_ROWS or distinct < _LEAST_LONG:
        return NOTHING
    steps = set(np.diff(np.array(numbers, dtype=object)))
    if (
        alone
        and distinct >= _LEAST_PEOPLE
        and len(steps) == 1
        and (steps == {1} or _NAMED.search(name))
        and (whole or _NAMED.search(name))
    ):
        return _identifier("counts the rows", known)
    if per_value > _ROWS_PER_PERSON or _PLACE.search(name):
        return NOTHING
    rounded = sum(number % 1000 == 0 for number in numbers) * 2 > distinct
    if length >= _LONG and of_it >= MOSTLY * distinct and not rounded and not _are_moments(name, numbers):
        return _identifier(f"whole numbers of {length} digits, {_often(known)}", known)
    if distinct >= _LEAST_PEOPLE and _SOMEONE.search(name) and per_value > 1:
        return _identifier(f"its name, and whole numbers, {_often(known)}", known)
    if distinct >= _LEAST_PEOPLE and _NAMED.search(name) and (alone or length >= 5 or _NAMED_ONE.search(name)):
        return _identifier(f"its name, and whole numbers, {_often(known)}", known)
    return NOTHING


def _of_texts(known: pd.Series, doubt: Doubt | None) -> Finding:
    """Texts: prose, codes, names of people, categories, or nothing that is understood."""
    name, values = str(known.name), known.unique()
    share, per_value = len(values) / len(known), len(known) / len(values)
    codes = _codes(values)
    digits = _typical(sum(map(str.isdigit, text)) for text in codes) if codes else 0
    long = digits >= 7 or (digits >= 5 and any(map(str.isalpha, "".join(codes))) and _of_one_make(codes))
    long = long or _are_drawn(codes)
    many = len(values) >= (_LEAST_LONG if long else _LEAST_PEOPLE) and per_value <= _ROWS_PER_PERSON
    against = tuple(text for text in values if text not in codes)
    measured = not _NAMED_ONE.search(name) and sum(map(_is_measured, values)) >= MOSTLY * len(values)
    strong = _typical(sum(mark.isdigit() for mark in text) for text in codes) if codes else 0
    if (doubt is None or strong >= _CARD) and many and not measured and len(codes) >= MOSTLY * len(values):
        lettered = any(mark.isalpha() for mark in "".join(codes))
        named = _NAMED.search(name) or _PERSON.search(name)
        nearly = share > MOSTLY or (share > _LARGELY and len(values) >= _MANY)
        if named or (nearly and (lettered or strong >= 7)) or long:
            if not _PLACE.search(name):
                why = f"codes such as {_shape(next(iter(codes)))}, {_often(known)}"
                return _identifier(why, known, against)
    words = np.mean([len(text.split()) for text in values])
    if words >= _WORDS and share > 0.5:
        return Finding(role=Role.TEXT, why=f"{words:.1f} words a cell on average, {_often(known)}")
    people = [text for text in values if _is_personal(text)]
    if doubt is None and many and len(people) >= MOSTLY * len(values):
        several = np.mean([len(text.split()) for text in people]) >= 1.8
        if _PERSON.search(name) or _NAMED.search(name) or (several and share > 0.5):
            return _identifier(f"names, {_often(known)}", known, tuple(set(values) - set(people)))
    if share > MOSTLY and _NAMED.search(name) and doubt is None:
        return _identifier(f"its name, and texts, {_often(known)}", known)
    if share > MOSTLY or (doubt is not None and share > 0.5):
        if doubt is not None:
            return Finding(role=Role.UNCLEAR, why=doubt.words, against=len(doubt.odd), examples=doubt.odd[:3])
        form = "look like numbers or dates, but not of one form" if measured else "of no form that is known"
        why = f"{len(values)} of {len(known)} values are different, and {form}"
        return Finding(role=Role.UNCLEAR, why=why, examples=tuple(map(str, values[:3])))
    if doubt is not None:
        return Finding(why=doubt.words, against=len(doubt.odd), examples=doubt.odd[:3])
    return NOTHING


def _is_measured(text: str) -> bool:
    """Whether it says how much, how many or when: then it names nobody, though its form is not understood."""
    if _MOMENT.search(text):
        return True
    amount = any(unicodedata.category(mark) == "Sc" or mark in "%‰°±" for mark in text)
    several = _QUANTITY.fullmatch(text) is not None
    return any(map(str.isdigit, text)) and (amount or (several and bool(_DECIMAL.search(text))))


def _identifier(why: str, known: pd.Series, against: Collection[str] = ()) -> Finding:
    return Finding(
        role=Role.IDENTIFIER, why=why, against=len(against), examples=tuple(against)[:3],
        grouped=bool(known.duplicated().any()),
    )  # fmt: skip


def _often(known: pd.Series) -> str:
    distinct = known.nunique()
    if distinct == len(known):
        return "another in every row"
    return f"{distinct} different in {len(known)} rows"


def _codes(values: Collection[str]) -> dict[str, None]:
    """The texts made like codes: digits in a few shapes, or long tokens of digits and letters."""
    short = [
        text
        for text in values
        if len(text) <= 64
        and any(map(str.isdigit, text))
        and (len(text.split()) <= 3 or not re.search("[a-z]{2}", text))
    ]
    shapes = Counter(_shape(text) for text in short)
    usual = {shape for shape, _ in shapes.most_common(10)}
    dialled = re.compile(r"[\d ()/.+-]*")
    return {
        text: None
        for text in short
        if _shape(text) in usual
        or (len(text) >= 8 and re.fullmatch(r"[\w-]+", text))
        or (dialled.fullmatch(text) and sum(map(str.isdigit, text)) >= 7)
    }


def _of_one_make(codes: Collection[str]) -> bool:
    """Whether half of the codes have one shape at least, as those that someone gives out; models of makers have not."""
    shapes = Counter(map(_shape, codes))
    return shapes.most_common(1)[0][1] * 2 >= len(codes)


def _are_drawn(codes: Collection[str]) -> bool:
    """Whether codes of one shape differ in so many places that each must be someone's: ABCDE1234F."""
    shapes = Counter(map(_shape, codes))
    if not shapes:
        return False
    shape, count = shapes.most_common(1)[0]
    if count < MOSTLY * len(codes):
        return False
    places = zip(*(text for text in codes if _shape(text) == shape), strict=True)
    return sum(math.log2(len(set(place))) for place in places) >= _DRAWN_BITS


def _shape(text: str) -> str:
    return re.sub("[A-Z]", "A", re.sub("[a-z]", "a", re.sub("[0-9]", "0", text)))


def _is_personal(text: str) -> bool:
    """Whether the text may be someone's name: one to four capitalised words without digits, or as East Asia has it."""
    if _EAST_ASIAN.fullmatch(text):
        return True
    words = re.split(r"[ ,]+", text.strip())
    small = {"de", "da", "di", "van", "von", "der", "den", "la", "le", "al", "bin", "ten", "dos", "del"}
    return 1 <= len(words) <= 5 and all(
        word in small or (word[:1].isupper() and re.fullmatch(r"[^\W\d_]\.?|[^\W\d_][\w'’.-]+", word)) for word in words
    )


def _typical(numbers: object) -> float:
    return float(np.median(list(numbers)))  # type: ignore[call-overload]


def _are_moments(name: str, numbers: list[int]) -> bool:
    """Whether numbers are seconds, or parts of them, since 1970: of 1990 to 2050, in a column named so."""
    if not _NAMED_TIME.search(name):
        return False
    units = (1, 1000, 1_000_000, 1_000_000_000)
    return any(all(631_152_000 * unit <= number <= 2_524_608_000 * unit for number in numbers) for unit in units)
