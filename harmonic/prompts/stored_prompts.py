"""Prompts in a file, written and read piece by piece, so that those of a large table are never all in memory."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.prompts.prompt import Prompt, line_of, prompt_of
from harmonic.storage import replacing

CHUNK = 1024
"""Prompts that are worked on together."""

_Item = TypeVar("_Item")


class StoredPrompts(Sequence[Prompt]):
    """The prompts of a file, one a line, each read when it is asked for. A slice is a list.

    Only the places of the lines are in memory, eight bytes each. Reading raises DataError, which names the line, for a
    line that is no prompt.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __iter__(self) -> Iterator[Prompt]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file):
                yield self._read(number, line)

    @overload
    def __getitem__(self, place: int) -> Prompt: ...

    @overload
    def __getitem__(self, place: slice) -> list[Prompt]: ...

    def __getitem__(self, place: int | slice) -> Prompt | list[Prompt]:
        numbers = range(len(self))[place]
        with self.path.open("rb") as file:
            if isinstance(numbers, int):
                return self._line(file, numbers)
            return [self._line(file, number) for number in numbers]

    def cut(self, count: int) -> None:
        """Keep only the first `count` prompts in the file."""
        if count < len(self):
            os.truncate(self.path, self._starts[count])
            self.characters = self.characters[:count]
            del self._starts

    @cached_property
    def characters(self) -> NDArray[np.int64]:
        """The characters of each prompt's text, (n,). They are counted while the file is written, if this wrote it."""
        return np.fromiter(map(_characters, self), dtype=np.int64)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """Where each line begins, and where the file ends, (n + 1,)."""
        with self.path.open("rb") as file:
            sizes = np.fromiter(map(len, file), dtype=np.int64)
        return np.concatenate([[0], np.cumsum(sizes)])

    def _line(self, file: BinaryIO, number: int) -> Prompt:
        file.seek(self._starts[number])
        return self._read(number, file.readline())

    def _read(self, number: int, line: bytes) -> Prompt:
        try:
            return prompt_of(line)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            problem = f"{self.path}, line {number + 1} is not a prompt: {error!r}"
            raise DataError(f"{problem}\n  fix: delete the file; it will be written again") from error


def write_prompts(prompts: Iterable[Prompt], path: Path) -> StoredPrompts:
    """Write one prompt per line, in UTF-8. The file is written completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    characters = array("q")
    with replacing(path) as incoming, incoming.open("w", encoding="utf-8", newline="\n") as file:
        for prompt in prompts:
            file.write(line_of(prompt))
            characters.append(_characters(prompt))
    stored = StoredPrompts(path)
    stored.characters = np.array(characters, dtype=np.int64)
    return stored


def _characters(prompt: Prompt) -> int:
    return sum(len(part.text) for part in prompt.parts)


def chunks(items: Iterable[_Item], size: int = CHUNK) -> Iterator[list[_Item]]:
    """The items in lists of `size`; the last one may be shorter."""
    left = iter(items)
    while found := list(islice(left, size)):
        yield found
