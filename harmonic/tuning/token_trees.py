"""Token sequences packed into trees, so that a start which several sequences share is computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class TokenTree:
    """Sequences that share their starts. A node is a token; its depth is its position in the sequence.

    paths: the nodes of each sequence, in order. members: the number of each sequence.
    """

    tokens: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)
    members: list[int] = field(default_factory=list)

    def add(self, member: int, sequence: list[int], known: int) -> None:
        """Add a sequence that shares its first `known` tokens with the last one."""
        new = range(len(self.tokens), len(self.tokens) + len(sequence) - known)
        self.paths.append([*(self.paths[-1][:known] if known else []), *new])
        self.tokens += sequence[known:]
        self.depths += range(known, len(sequence))
        self.members.append(member)

    def visible(self) -> NDArray[np.bool_]:
        """Which nodes each node sees, itself and those before it in its sequence: (nodes, nodes)."""
        sees = np.zeros((len(self.tokens), len(self.tokens)), dtype=bool)
        for path in self.paths:
            sees[np.ix_(path, path)] |= np.tri(len(path), dtype=bool)
        return sees


def token_trees(sequences: list[list[int]], limit: int) -> Iterator[TokenTree]:
    """Trees of at most `limit` nodes, or of one longer sequence, in lexicographic order."""
    tree, before = TokenTree(), list[int]()
    for index in sorted(range(len(sequences)), key=sequences.__getitem__):
        sequence = sequences[index]
        known = common_start(before, sequence)
        if tree.members and len(tree.tokens) + len(sequence) - known > limit:
            yield tree
            tree, known = TokenTree(), 0
        tree.add(index, sequence, known)
        before = sequence
    yield tree


def common_start(first: list[int], second: list[int]) -> int:
    """How many tokens both share at the start."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))
