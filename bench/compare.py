"""Our jobs beside the peers: every round runs each of them once, in turn."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bench.case import SUFFIX, Case, Pair
from bench.child import ChildFailed, Run
from bench.data import Data, Place
from bench.digests import Digest, digest_of
from bench.ours import Installation
from bench.peers.registry import Peer

OURS = "exporter"


@dataclass(kw_only=True)
class Contender:
    """All runs of one program on one pair. `remark` says why it has none, or how its rows compare with ours."""

    name: str
    runs: list[Run] = field(default_factory=list)
    job_seconds: list[float] = field(default_factory=list)  # of our own jobs
    digest: Digest | None = None
    remark: str = ""
    loses: str = ""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One pair's contenders, ours first."""

    pair: Pair
    contenders: Sequence[Contender]

    @property
    def ours(self) -> Contender:
        return self.contenders[0]

    @property
    def rows(self) -> int:
        return self.ours.digest.rows if self.ours.digest else 0


class Comparison:
    def __init__(self, data: Data, installation: Installation, *, scale: float, rounds: int) -> None:
        self._data = data
        self._installation = installation
        self._scale = scale
        self._rounds = rounds

    def compare(self, pair: Pair, peers: Sequence[Peer]) -> Compared:
        """Measure one pair. Raises ExportFailed or ChildFailed when our own job fails."""
        place = self._data.place(pair.source, pair.table, self._scale)
        ours = Contender(name=OURS)
        others = [(peer, _contender(peer, pair)) for peer in peers if peer.takes(pair)]
        for _ in range(self._rounds):
            self._run_ours(ours, place, pair)
            for peer, contender in others:
                if not contender.remark.startswith(("not installed", "failed")):
                    self._run_peer(peer, contender, place, pair)
        for _, contender in others:
            _judge(contender, ours)
        return Compared(pair=pair, contenders=[ours, *(contender for _, contender in others)])

    def _run_ours(self, ours: Contender, place: Place, pair: Pair) -> None:
        exported = self._installation.export(place, pair)
        ours.runs.append(exported.run)
        ours.job_seconds.append(exported.seconds)
        for file in exported.files:
            ours.digest = ours.digest or digest_of(pair.table, pair.format, file)
            file.unlink()

    def _run_peer(self, peer: Peer, contender: Contender, place: Place, pair: Pair) -> None:
        target = self._installation.folder / f"{peer.name}.{SUFFIX[pair.format]}"
        try:
            contender.runs.append(peer.run(Case(pair=pair, url=place.url, target=target)))
            contender.digest = contender.digest or digest_of(pair.table, pair.format, target)
        except ChildFailed as exc:
            contender.remark = f"failed: {exc}"
        finally:
            with suppress(FileNotFoundError):
                target.unlink()


def _contender(peer: Peer, pair: Pair) -> Contender:
    missing = peer.missing(pair)
    remark = f"not installed: {missing}" if missing else ""
    return Contender(name=peer.name, remark=remark, loses=peer.loses.get(pair.format, ""))


def _judge(contender: Contender, ours: Contender) -> None:
    """Say of a peer whether its rows are ours."""
    if contender.digest is None:
        return
    if contender.digest == ours.digest:
        contender.remark = "same rows"
    elif ours.digest and contender.digest.rows != ours.digest.rows:
        contender.remark = f"{contender.digest.rows:,} rows"
    else:
        contender.remark = f"loses {contender.loses}" if contender.loses else "OTHER VALUES"


def unequal(found: Sequence[Compared]) -> Iterator[str]:
    """Name the peers that hold other rows than we do, though they are known to lose nothing: one side is wrong."""
    for compared in found:
        for peer in compared.contenders[1:]:
            if not peer.loses and peer.digest and peer.digest != compared.ours.digest:
                yield f"{compared.pair.name}: {peer.name} has {peer.remark}"
