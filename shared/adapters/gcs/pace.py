"""The learned pace of creates in the functions' bucket: `pace/PROJECT.LOCATION`."""

import logging

from pydantic import TypeAdapter, ValidationError

from shared.adapters.gcs.bucket import Bucket
from shared.core.errors import Conflict
from shared.core.lazy import Lazy
from shared.core.ports import LearnedPace

log = logging.getLogger(__name__)

_PACE = Lazy(lambda: TypeAdapter(LearnedPace))


class GcsPaceBook:
    """Implements PaceBook."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def pace_of(self, parent: str) -> LearnedPace | None:
        """Return the pace of a project and region; the next refusal replaces an unreadable one."""
        found = self._bucket.read(_name(parent))
        if found is None:
            return None
        try:
            pace = _PACE.get().validate_json(found[1])
            return pace if pace.limit > 0 and _aware(pace) else None
        except ValidationError:
            log.warning("pace.unreadable", extra={"fields": {"object": _name(parent)}})
            return None

    def learn(self, parent: str, pace: LearnedPace) -> None:
        """Replace the pace, unless another submit replaces it now."""
        name = _name(parent)
        found = self._bucket.read(name)
        generation = found[0] if found else 0
        try:
            self._bucket.write(name, _PACE.get().dump_json(pace), {}, generation)
        except Conflict:
            log.info("pace.learned_elsewhere", extra={"fields": {"object": name}})


def _name(parent: str) -> str:
    _, project, _, location = parent.split("/")
    return f"pace/{project}.{location}"


def _aware(pace: LearnedPace) -> bool:
    return pace.learned_at.tzinfo is not None and pace.not_before.tzinfo is not None
