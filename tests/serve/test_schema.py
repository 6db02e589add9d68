"""The OpenAPI document is true, and no request it allows, or forbids, brings the server down."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode

from hanlin.serve.app import application
from serve.live import Live


def test_every_path_with_a_body_says_what_it_takes(tiny_server: Live) -> None:
    server = tiny_server.server
    document = application(server.settings, server.pool, server.keys, server.state).openapi()
    for path, methods in document["paths"].items():
        post = methods.get("post")
        if post and not path.endswith("/cancel"):
            reference = post["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            shape = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
            assert shape["type"] == "object", path
            assert shape["additionalProperties"] is False, path
            assert "compat" in shape["properties"]


@pytest.mark.filterwarnings("ignore")
def test_no_body_that_the_document_allows_or_forbids_is_a_server_error(tiny_server: Live) -> None:
    schema = schemathesis.openapi.from_url(f"{tiny_server.url}/openapi.json")
    schema.config.generation.update(modes=list(GenerationMode))
    quick = settings(
        max_examples=4,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in ("/v1/models/unload", "/v1/models/replace", "/v1/models/load"):
            continue

        @quick
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=[not_a_server_error], timeout=60)

        ask()
        tried += 1
    assert tried > 20
