"""One tiny server for all tests that do not change it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from hanlin import kernels
from serve.live import Live, live


@pytest.fixture(scope="session")
def tiny_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    if kernels.missing() is not None:
        pytest.skip(f"no native kernels: {kernels.missing()}")
    with live(tmp_path_factory.mktemp("tiny-server")) as found:
        yield found


@pytest.fixture(scope="session")
def client(tiny_server: Live) -> Iterator[OpenAI]:
    with OpenAI(base_url=tiny_server.api, api_key="none", max_retries=0) as found:
        yield found


@pytest.fixture(scope="session")
def real_server(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The default model, in int8."""
    if kernels.missing() is not None:
        pytest.skip(f"no native kernels: {kernels.missing()}")
    from hanlin.infer.model import load

    folder = tmp_path_factory.mktemp("real-server")
    with live(folder, {"smol": str(smollm2)}, load, dtype="int8", streams=8) as found:
        yield found
