"""A resolved pipeline as bytes: what is stored with a task, and read again by every worker."""

from __future__ import annotations

import json

from pydantic import ValidationError

from aqm.errors import AqmError
from aqm.pipeline.spec import Pipeline

__all__ = ["FORMAT", "FrozenError", "freeze", "thaw"]

FORMAT = 1


class FrozenError(AqmError):
    """The stored pipeline cannot be read by this version of aqm."""


def freeze(pipeline: Pipeline) -> bytes:
    """JSON with every default written out, so that a later version's defaults change nothing.

    The same pipeline always freezes to the same bytes. Mappings keep the author's order: a judge that is
    asked for `reason` and then for `decision` thinks in that order.
    """
    frozen = {"format": FORMAT, "pipeline": pipeline.model_dump(mode="json")}
    return json.dumps(frozen, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def thaw(frozen: bytes) -> Pipeline:
    """The pipeline that was frozen; it was checked then."""
    try:
        found = json.loads(frozen)
        if found["format"] != FORMAT:
            raise FrozenError(
                f"The stored pipeline has format {found['format']!r}, and this aqm reads format {FORMAT}.",
                cure="Use the version of aqm that the task was submitted with.",
            )
        return Pipeline.model_validate_json(json.dumps(found["pipeline"]))
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise FrozenError(cure="Use the version of aqm that the task was submitted with.") from error
