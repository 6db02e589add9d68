"""Counts and times for Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/"""

import time
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hanlin.serve.keeper import Ticket

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


@dataclass(frozen=True)
class Cost:
    """A request that came to its end."""

    prompt: int
    cached: int
    tokens: int
    """Of the answers."""
    whole_seconds: float
    first_seconds: float | None
    between_seconds: float | None


class Metrics:
    """Of one server; each has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter("hanlin_requests", "Requests by path and status.", ["path", "status"], registry=own)
        self.errors = Counter("hanlin_errors", "Requests that failed, by OpenAI's error type.", ["type"], registry=own)
        self.prompt_tokens = Counter("hanlin_prompt_tokens", "Tokens of prompts.", registry=own)
        self.cached_tokens = Counter(
            "hanlin_cached_tokens", "Of these, tokens that had been read before.", registry=own
        )
        self.completion_tokens = Counter("hanlin_completion_tokens", "Tokens of answers.", registry=own)
        self.first = Histogram(
            "hanlin_time_to_first_token_seconds", "From a request to its first token.", buckets=SECONDS, registry=own
        )
        self.between = Histogram(
            "hanlin_inter_token_seconds", "Mean time between tokens of an answer.", buckets=SECONDS, registry=own
        )
        self.whole = Histogram(
            "hanlin_request_seconds", "From a request to its last token.", buckets=SECONDS, registry=own
        )
        self.running = Gauge("hanlin_requests_in_flight", "Requests taken and not over.", ["model"], registry=own)
        self.memory = Gauge(
            "hanlin_model_bytes", "Memory of a model's weights, keys and values.", ["model"], registry=own
        )

    def finished(self, ticket: Ticket, tokens: int) -> None:
        """A request came to its end."""
        now, begun, each = time.monotonic(), ticket.begun, tokens / ticket.request.sampling.n
        first = None if begun is None else begun - ticket.arrived
        between = None if begun is None or each <= 1 else (now - begun) / (each - 1)
        prompt = len(ticket.request.prompt)
        self.count(Cost(prompt, ticket.found, tokens, now - ticket.arrived, first, between))

    def count(self, cost: Cost) -> None:
        """The same, from its figures."""
        self.prompt_tokens.inc(cost.prompt)
        self.cached_tokens.inc(cost.cached)
        self.completion_tokens.inc(cost.tokens)
        self.whole.observe(cost.whole_seconds)
        if cost.first_seconds is not None:
            self.first.observe(cost.first_seconds)
        if cost.between_seconds is not None:
            self.between.observe(cost.between_seconds)

    def page(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
