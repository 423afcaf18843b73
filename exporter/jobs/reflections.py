"""What tables looked like, for as long as nothing can have changed them: so that a request need not open its source."""

import threading
from collections.abc import Hashable

from exporter.sources.base import Relation

MOST = 64  # relations; one may have thousands of columns


class Reflections:
    """Keeps relations by what was asked for, each with the proof of what its source was before it was looked at."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Hashable, Relation]] = {}
        self._lock = threading.Lock()

    def known(self, asked: Hashable, proof: Hashable | None) -> Relation | None:
        """Give what was seen when the proof was the same. Without a proof nothing is known."""
        with self._lock:
            seen, relation = self._kept.get(asked, (None, None))
        return relation if proof is not None and seen == proof else None

    def keep(self, asked: Hashable, proof: Hashable | None, relation: Relation) -> None:
        if proof is None:
            return
        with self._lock:
            self._kept.pop(asked, None)
            while len(self._kept) >= MOST:
                del self._kept[next(iter(self._kept))]  # the oldest
            self._kept[asked] = (proof, relation)
