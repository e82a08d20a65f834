"""The role of a column: something to learn, or an identifier, free text, a constant; and why it was decided so."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

LEAST_ROWS = 20  # with fewer rows it is not clear whether a value ever occurs twice
LEAST_PEOPLE = 20  # different values from which the rows may be those of many people
LEAST_LONG = 10  # the same for long numbers and codes: so many are seldom categories
MOSTLY = 0.9  # share of the distinct values
ROWS_PER_PERSON = 10.0  # with more rows for each value, a value is a group of people rather than one person
CARD_DIGITS = 13  # digits of a number that counts or measures nothing


class Role(StrEnum):
    """Why a column is kept from the generator."""

    IDENTIFIER = "identifier"
    TEXT = "text"
    CONSTANT = "constant"
    DROP = "drop"
    UNCLEAR = "unclear"  # not known: a note asks the user


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The role of a column, and `why`, in words. role None: the column is learnt.

    `against`: how many of its values speak against the role, with `examples` of them. `grouped`: an identifier whose
    values are in several rows each. `by_pattern`: the values alone name someone, whatever the column's name is.
    """

    role: Role | None = None
    why: str = ""
    against: int = 0
    examples: tuple[str, ...] = ()
    grouped: bool = False
    by_pattern: bool = False


NOTHING = Finding()


# ---- what a column's name says

NAMES_ONE = re.compile(  # each value names one person or thing
    r"(?i:(^|[\W_])((id|uuid|guid)s?|ssn|iban|passport|licen[cs]e|account|acct|phone|mobile|telephone|e-?mail|mrn|nhs|"
    r"bsn|imei|vin|username|token)$)|[a-z](Id|ID)$"
)
NAMES = re.compile(  # the same, or does so if all values are different
    NAMES_ONE.pattern + r"|(?i:(^|[\W_])((key|no|nr|number|index)s?|idx|rownames|rowid|tel|fax|login|user|card|mac|ip|"
    r"policy|membership)$)|[a-z](No|Nr)$|^Unnamed: \d+$"
)
NUMBERS_SOMEONE = re.compile(  # whole numbers with such a name identify the person of a row
    r"(?i:(^|[\W_])(subject|individual|participant|respondent|proband|patient|person|pupil|student|household|customer|"
    r"client|employee|animal|user|member)$)"
)
NAMES_TIME = re.compile(r"(?i)time|date|stamp|created|updated|modified|epoch|seen|since|when|(^|_)(ts|at|on)$")
NAMES_PERSON = re.compile(
    r"(?i:(^|[\W_])(name|names|surname|forename|firstname|lastname|fullname|vorname|nachname|nom|prenom|prénom|nombre|"
    r"apellido|cognome|naam|voornaam|achternaam|patient|customer|client|employee|person|contact|kunde|author|owner|"
    r"имя|фамилия|фио|姓名|名字|名前|氏名|이름|성명)$)"
)
PLACE = re.compile(r"(?i:zip|postal|postcode|plz|cp$|postleitzahl|(^|[\W_])(cep|cap|npa)$)")


def identifier(why: str, known: pd.Series, against: Collection[str] = ()) -> Finding:
    """The finding that a column with these values, without missing ones, is an identifier."""
    return Finding(
        role=Role.IDENTIFIER, why=why, against=len(against), examples=tuple(against)[:3],
        grouped=bool(known.duplicated().any()),
    )  # fmt: skip


def how_often(known: pd.Series) -> str:
    """How many different values there are, in words."""
    distinct = known.nunique()
    if distinct == len(known):
        return "different in every row"
    return f"{distinct} different in {len(known)} rows"
