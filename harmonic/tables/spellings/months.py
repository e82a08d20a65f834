"""Names of the months in several languages."""

from __future__ import annotations

from itertools import product

MONTHS = {  # from the Unicode CLDR 48; abbreviations are also found without their dots
    "en": "January February March April May June July August September October November December",
    "en_short": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "de_short": "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
    "de_three": "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "fr_short": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "es_short": "ene feb mar abr may jun jul ago sept oct nov dic",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "it_short": "gen feb mar apr mag giu lug ago set ott nov dic",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "nl_short": "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "pt_short": "jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez.",
}


def month_words(text: str) -> list[tuple[str, ...]]:
    """The twelve months, in each language and case of letters in which the text has the name of a month."""
    found = []
    for names in MONTHS.values():
        for dots, case in product((True, False), (str.title, str.lower, str.upper)):
            months = tuple(case(name if dots else name.rstrip(".")) for name in names.split())
            if any(month in text for month in months) and months not in found:
                found.append(months)
    return found
