"""Small things the contracts share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tiny tensors gain nothing from more, and the tests run side by side."""
    torch.set_num_threads(1)
