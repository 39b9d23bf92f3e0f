"""The phrase book: what a clip is (its subject), and the many ways in which people would say it.

All words live in catalog/phrases.txt, whose head explains its form; this module reads it.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_KEYS = ("match", "tags", "values", "noun", "category", "mood")


@dataclass(frozen=True)
class Section:
    """One subject. `name`, `noun`, `plural` and `phrases` may hold one {placeholder}.

    Attributes:
        bed: a steady sound.
        values: (word in a path, word for the placeholder), tried in order.
    """

    name: str
    bed: bool
    match: re.Pattern[str] | None
    tags: tuple[str, ...]
    values: tuple[tuple[str, str], ...]
    noun: str
    plural: str
    category: str
    mood: str
    phrases: tuple[str, ...]

    def filled(self, text: str) -> "Section | None":
        """Return this section for the words of `text`; None if it needs a value and has none."""
        if not self.values:
            return self
        for word, value in self.values:
            if re.search(rf"(?<![a-z])(?:ds)?{re.escape(word)}s?(?![a-z])", text):
                return self._with(value)
        return None

    def _with(self, value: str) -> "Section":
        return Section(
            _fill(self.name, value),
            self.bed,
            self.match,
            self.tags,
            (),
            _fill(self.noun, value),
            _fill(self.plural, value),
            self.category,
            self.mood,
            tuple(_fill(phrase, value) for phrase in self.phrases),
        )


@cache
def sections() -> tuple[Section, ...]:
    """Return the whole phrase book in its order."""
    text = files("diegetic.training").joinpath("catalog", "phrases.txt").read_text("utf-8")
    return parse(text)


@cache
def vocabulary() -> frozenset[str]:
    """Return every word that the phrase book says or looks for: words that mean something."""
    found: set[str] = set()
    for section in sections():
        source = section.match.pattern if section.match else ""
        for line in (source, section.name, *section.phrases, *(v for _, v in section.values)):
            found.update(re.findall(r"[a-z]{3,}", line.lower()))
    return frozenset(found)


def parse(text: str) -> tuple[Section, ...]:
    """Read the phrase book's text."""
    book: list[Section] = []
    for block in re.split(r"^(?=\[)", text, flags=re.MULTILINE)[1:]:
        head, *rest = block.splitlines()
        lines = [line.strip() for line in rest if line.strip() and not line.startswith("#")]
        fields = dict.fromkeys(_KEYS, "")
        phrases = []
        for line in lines:
            key, colon, value = line.partition(": ")
            if colon and key in _KEYS:
                fields[key] = value
            else:
                phrases.append(line)
        name = head[1 : head.index("]")]
        noun, _, plural = fields["noun"].partition(" / ")
        book.append(
            Section(
                name=name,
                bed="(bed)" in head,
                match=re.compile(fields["match"]) if fields["match"] else None,
                tags=tuple(tag.strip() for tag in fields["tags"].split(";") if tag.strip()),
                values=tuple(_pair(item) for item in fields["values"].split(",") if item.strip()),
                noun=noun,
                plural=plural or (noun + "s" if noun else ""),
                category=fields["category"],
                mood=fields["mood"],
                phrases=tuple(phrases),
            )
        )
    return tuple(book)


def _pair(item: str) -> tuple[str, str]:
    word, _, value = item.partition("=")
    return word.strip(), (value or word).strip()


def _fill(phrase: str, value: str) -> str:
    """Put `value` in place of the placeholder; "a {animal}" becomes "an elephant"."""
    article = "an" if value[0] in "aeiou" else "a"
    text = re.sub(r"\ba (?=\{)", f"{article} ", phrase)
    return _PLACEHOLDER.sub(value, text)
