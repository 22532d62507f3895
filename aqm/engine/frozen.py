"""The pipeline and the policy that a task was submitted with, read once per process."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from threading import Lock
from typing import TypeVar

from aqm.flow.joins import JoinRule, Reach
from aqm.flow.task import Policy
from aqm.pipeline.frozen import thaw
from aqm.pipeline.graph import reach
from aqm.pipeline.spec import Pipeline
from aqm.storage import blobs
from aqm.storage.database import Connection

__all__ = ["Graph", "graph_of", "pack_policy", "pipeline_of", "policy_of"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Graph:
    """Who can come after whom, and the joins in the order of the file."""

    reach: Reach
    joins: Mapping[str, JoinRule]


_KEPT = 64
_pipelines: OrderedDict[str, Pipeline] = OrderedDict()  # by hash of the content, so never stale
_policies: OrderedDict[str, Policy] = OrderedDict()
_graphs: OrderedDict[str, Graph] = OrderedDict()
_lock = Lock()


def pipeline_of(connection: Connection, project: int, hash: str) -> Pipeline:
    with _lock:
        found = _pipelines.get(hash)
    if found is None:
        found = thaw(blobs.read(connection, project, hash).encode())
        _keep(_pipelines, hash, found)
    return found


def graph_of(connection: Connection, project: int, hash: str) -> Graph:
    """What joins look at."""
    with _lock:
        found = _graphs.get(hash)
    if found is None:
        pipeline = pipeline_of(connection, project, hash)
        joins = {agent.id: agent.join for agent in pipeline.agents if agent.join is not None}
        found = Graph(reach(pipeline), joins)
        _keep(_graphs, hash, found)
    return found


def policy_of(connection: Connection, project: int, hash: str) -> Policy:
    with _lock:
        found = _policies.get(hash)
    if found is None:
        found = Policy(**json.loads(blobs.read(connection, project, hash)))
        _keep(_policies, hash, found)
    return found


def pack_policy(policy: Policy) -> str:
    return json.dumps(asdict(policy), sort_keys=True, separators=(",", ":"))


def _keep(kept: OrderedDict[str, _T], hash: str, value: _T) -> None:
    with _lock:
        kept[hash] = value
        while len(kept) > _KEPT:
            kept.popitem(last=False)
