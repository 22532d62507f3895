"""A project's pipelines: which there are, one of them resolved, and the verdict on a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aqm.errors import Fault, NotFoundError, PipelineError, did_you_mean
from aqm.service.project import Project
from aqm.service.views import PipelineView, Validation

if TYPE_CHECKING:
    from aqm.pipeline.resolve import Loaded

__all__ = ["load_pipeline", "pipeline_name", "pipeline_views", "validate_file"]

_LEGACY = "agents.yaml"  # of 1.x: used as `default` where there is no pipelines/default.yaml
_PARAMS = "params.yaml"
_LARGEST = 256 * 1024  # bytes of one document
