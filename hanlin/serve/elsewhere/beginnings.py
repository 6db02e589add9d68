"""Which replica of a Ray deployment gets a request: the one that has read how it begins, unless that one is full.

Every router ranks the replicas by the same hash of the beginning and the replica (rendezvous hashing), so beginnings
need no table, and a replica that comes or goes moves only its own. Ray's router for prefixes imports vLLM:
https://docs.ray.io/en/latest/serve/llm/user-guides/prefix-aware-routing.html
"""

import random

import xxhash
from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica


class ByBeginning(RequestRouter):
    """Of requests whose first argument is how they begin; "" goes anywhere."""

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """The replicas in the order in which they are tried."""
        beginning = pending_request.args[0] if pending_request and pending_request.args else ""
        if not beginning:
            return [random.sample(candidate_replicas, len(candidate_replicas))]
        ranked = sorted(candidate_replicas, key=lambda one: worth(beginning, one.replica_id.unique_id), reverse=True)
        return [ranked[:1], ranked[1:]] if ranked[1:] else [ranked]


def worth(beginning: str, replica: str) -> int:
    """How much a replica is meant for what begins so."""
    return xxhash.xxh64_intdigest(f"{replica}\n{beginning}")
