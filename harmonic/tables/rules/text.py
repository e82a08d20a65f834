"""Rules as a user writes them: "total = net + tax", "amount = count * price", "code -> city", "start <= end".

Columns have the names of the file, which may contain blanks and signs: a text is cut where both sides are columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from harmonic.errors import ConfigError, unknown
from harmonic.settings import Text, text_of
from harmonic.shell import override
from harmonic.tables.rules.relations import lookup, order, unit
from harmonic.tables.rules.rule import Formula, Order, Rule
from harmonic.tables.rules.rule_set import Rules, arranged
from harmonic.tables.rules.search import find_rules, settled
from harmonic.tables.table import Table

AUTO = "auto"
Wanted = Literal["auto", "off", False] | Sequence[Text] | None
"""dataset.rules: those that are found, none (YAML reads off as False), or a list, which may contain "auto"."""
EXAMPLES = ["total = net + tax", "amount = count * price", "code -> city", "start <= end"]
_KEY = "dataset.rules"
_NUMBER = re.compile(r"\d+(\.\d+)?")
_MOSTLY = 0.5  # a rule that more of the training rows break is a mistake


def kept_rules(wanted: Wanted, train: Table, held_out: Sequence[Table] = ()) -> tuple[Rules | None, list[str]]:
    """The rules that the training rows keep and new rows must keep, None if there are none; and notes.

    The notes say how each is kept, and how many of the `held_out` rows break it. Rules are not found from those rows.
    """
    if not wanted or wanted == "off":
        return None, []
    rules, notes = read_rules([AUTO] if isinstance(wanted, str) else [text_of(one) for one in wanted], train)
    if not rules.rules:
        return None, notes
    rows = sum(map(len, held_out))
    for rule, how in zip(rules.rules, rules.ways().values(), strict=True):
        wrong = sum(int(rules.wrong(rule, table.frame).sum()) for table in held_out)
        broken = f"; {wrong} of {rows} held-out rows break it" if wrong else ""
        notes.append(f"rule {str(rule)!r}: {how}{broken}")
    some = override("dataset.rules", [str(rule) for rule in rules.rules])
    return rules, [*notes, f"rules: new rows keep all of these; none with dataset.rules=off, some with {some}"]


def read_rules(wanted: Sequence[str], train: Table) -> tuple[Rules, list[str]]:
    """The rules of a list ("auto": those that are found), and notes on those that training rows break.

    Raises ConfigError if a text is not a rule, or if most training rows break it.
    """
    given = [read_rule(text, train) for text in wanted if text != AUTO]
    found = list(find_rules(train).rules) if AUTO in wanted else []
    found = [rule for rule in found if str(rule) not in map(str, given)]
    kept = arranged([*given, *found])
    for rule in given:
        if str(rule) not in map(str, kept):
            problem = f"another rule computes the column {rule.column!r} already, or it follows from itself"
            raise ConfigError(_KEY, str(rule), problem, "leave out one of these rules")
    rules = Rules(train.schema, kept)
    notes = []
    for text, share in rules.broken(train.frame).items():
        if share > _MOSTLY:
            fix = "compare it with the file, or leave it out"
            raise ConfigError(_KEY, text, f"{share:.0%} of the training rows break it", fix)
        if share:
            notes.append(f"rule {text!r}: {round(share * len(train))} of {len(train)} training rows break it")
    return rules, notes


def read_rule(text: str, train: Table) -> Rule:
    """One rule. Raises ConfigError if the text is not a rule."""
    for sign in ("<=", ">=", "->", "="):
        for found in re.finditer(re.escape(sign), text):
            left, right = text[: found.start()].strip(), text[found.end() :].strip()
            rule = _read(left, sign, right, train)
            if rule is not None:
                return rule
    raise _no_rule(text, train)


def _read(left: str, sign: str, right: str, train: Table) -> Rule | None:
    schema = train.schema
    if left not in schema.names:
        return None
    if sign == "=":
        terms = _terms(right, schema.names)
        if terms is None:
            return None
        constant = sum(factor for factor, names in terms if not names)
        formula = Formula(column=left, terms=tuple(one for one in terms if one[1]), constant=constant)
        _check_numbers((left, *formula.sources), train, f"{left} = {right}")
        return settled(formula, train)
    if right not in schema.names or left == right:
        return None
    if sign == "->":
        return lookup(train, left, right)
    low, high = (left, right) if sign == "<=" else (right, left)
    _check_numbers((low, high), train, f"{low} <= {high}")
    if unit(schema[low]) != unit(schema[high]):
        problem = f"{low!r} and {high!r} have different units"
        raise ConfigError(_KEY, f"{low} <= {high}", problem, "compare two numbers, or two dates of the same precision")
    rule: Order = order(train, low, high)
    return rule


def _check_numbers(names: Sequence[str], train: Table, text: str) -> None:
    for name in names:
        if not train.schema[name].is_numeric:
            fix = f"if it holds numbers: {override('dataset.kinds', {name: 'float'})}"
            raise ConfigError(_KEY, text, f"{name!r} is a category", fix)


def _terms(text: str, names: Sequence[str]) -> tuple[tuple[float, tuple[str, ...]], ...] | None:
    """The terms of a sum, each a factor and its columns; None if the text is not a sum."""
    if text in names:
        return ((1.0, (text,)),)
    found: list[tuple[float, tuple[str, ...]]] = []
    sign, rest = 1.0, text
    if rest.startswith("-"):
        sign, rest = -1.0, rest[1:].lstrip()
    while True:
        term = _product(rest, names)
        if term is None:
            return None
        factor, columns, rest = term
        found.append((sign * factor, columns))
        if not rest:
            return tuple(found)
        sign, rest = (1.0 if rest[0] == "+" else -1.0), rest[1:].lstrip()


def _product(text: str, names: Sequence[str]) -> tuple[float, tuple[str, ...], str] | None:
    """The factor and the columns of the first term, and the rest of the text: "", or from the next + or - on."""
    factor, columns, rest = 1.0, [], text
    while True:
        name = max((one for one in names if _begins(rest, one)), key=len, default=None)
        number = _NUMBER.match(rest)
        if name is not None:
            columns.append(name)
            rest = rest[len(name) :].lstrip()
        elif number is not None:
            factor *= float(number[0])
            rest = rest[number.end() :].lstrip()
        else:
            return None
        if not rest or rest[0] in "+-":
            return factor, tuple(columns), rest
        if rest[0] != "*":
            return None
        rest = rest[1:].lstrip()


def _begins(text: str, name: str) -> bool:
    """Whether the text begins with the whole name."""
    return bool(name) and text.startswith(name) and bool(re.match(r"\s*([-+*]|$)", text[len(name) :]))


def _no_rule(text: str, train: Table) -> ConfigError:
    parts = [part.strip() for part in re.split(r"<=|>=|->|=| \+ | - | \* ", text)]
    strange = [part for part in parts if part and part not in train.schema.names and not _NUMBER.fullmatch(part)]
    if len(parts) > 1 and strange:
        return unknown(_KEY, text, "column", train.schema.names, name=strange[0])
    return ConfigError(_KEY, text, "is not a rule", f"write rules like {override(_KEY, EXAMPLES)}")
