"""Numbers of a report that an author may name in a text: ``{{指数.环比}}``, from protected results alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..release.protect import Protected
from ..spec.specification import Specification
from .wording import fill, words

#: Sentence that prints it → its names, and whether it is told of the index and each dimension, or of the unit alone.
_ATTRIBUTES = {
    "own_score": ("", ""),
    "own_range": ("估计范围", "range"),
    "own_change": ("环比", "change"),
    "own_year": ("同比", "year"),
    "own_favourable": ("正向评价率", "favourable"),
}
_OF_THE_UNIT = {
    "own_response": ("参与率", "response"),
    "own_response_change": ("参与率.环比", "response.change"),
    "own_headcount": ("应参加人数", "headcount"),
    "own_people": ("实际参加人数", "participants"),
}


@dataclass(frozen=True)
class NamedNumbers:
    """The numbers about one unit that have a name; each is computed when it is asked for.

    Attributes
    ----------
    results
        Gives the protected results by the names that the sentences use: scores, response, change, change_response, year;
        None where there is nothing to compare with. Asked once, and only if a number is.
    codes
        The index first, then its dimensions; none where there is no survey.
    """

    unit: str = "ALL"
    codes: Sequence[str] = ()
    spec: Specification = field(default_factory=Specification, repr=False)
    results: Callable[[], Mapping[str, Protected | None]] = field(default=dict, repr=False)

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._sentences

    @property
    def names(self) -> list[str]:
        """The names in the language of the report: of the index, of the dimensions, of the unit.

        What is told of the index is told of a dimension by the same word after its name and a full stop.
        """
        language = 0 if self.spec.language == "zh" else 1
        top = self.codes[0] if self.codes else ""
        return [
            names[language] for names, told in self._listed.items() if told[1] in ("", top) or told[0] == "own_score"
        ]

    def value(self, name: str) -> str:
        """Return a number as it is printed; a dash where it is hidden or there is none."""
        sentence, code = self._sentences[_plain(name)]
        return fill(words(self.spec.language)[sentence], self._given, {"unit": self.unit, "code": code})

    @property
    def waves(self) -> list[tuple[str, str]]:
        """The waves that the numbers are of."""
        return sorted({wave for result in self._given.values() if result is not None for wave in result.waves})

    @cached_property
    def _given(self) -> Mapping[str, Protected | None]:
        return self.results()

    @cached_property
    def _sentences(self) -> dict[str, tuple[str, str]]:
        """Name without spaces, in small letters → the sentence that prints it, the code it is told of."""
        return {_plain(name): told for names, told in self._listed.items() for name in (*names, *_codes_too(told))}

    @cached_property
    def _listed(self) -> dict[tuple[str, str], tuple[str, str]]:
        listed: dict[tuple[str, str], tuple[str, str]] = {}
        for place, code in enumerate(self.codes):
            labels = [("指数", "index")] if place == 0 else [(self._label(code, "zh"), self._label(code, "en"))]
            for sentence, attribute in _ATTRIBUTES.items():
                zh, en = (".".join(filter(None, parts)) for parts in zip(labels[0], attribute, strict=True))
                listed[zh, en] = (sentence, code)
                if place == 0 and attribute[0]:  # of the index, where nothing else is said
                    listed[attribute] = (sentence, code)
        if self.codes:
            listed |= {names: (sentence, "") for sentence, names in _OF_THE_UNIT.items()}
        return listed

    def _label(self, code: str, language: str) -> str:
        return str(self.spec.speaking(language).code_label(code))  # type: ignore[arg-type]  # one of two


def _codes_too(told: tuple[str, str]) -> list[str]:
    """A dimension may be named by its code."""
    sentence, code = told
    attributes = _ATTRIBUTES.get(sentence, ())
    return [".".join(filter(None, (code, one))) for one in attributes] if code else []


def _plain(name: str) -> str:
    return "".join(name.split()).replace("．", ".").casefold()
