"""The model hub: `org/name[@revision][:FILE.gguf]` in; the files a model needs, pinned to one commit and checked, out.

`huggingface_hub` knows the endpoint, the token and the user's proxies; the bytes are read here, since it does not go on
with a file that another process began. API: https://huggingface.co/docs/hub/api
"""

import os
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from hanlin.core.errors import ConfigError, HanlinError, StoreError, shown
from hanlin.model.store.choose import Choice, choose
from hanlin.model.store.disk import Part, Staging, Wanted, already, need
from hanlin.model.store.manifest import Fetched
from hanlin.model.store.progress import Progress
from hanlin.model.store.request import Request

T = TypeVar("T")

SPELLING = "org/name[@revision][:FILE.gguf]"
NAME = re.compile(r"([^/\s:@]+/[^/\s:@]+)(?:@([^\s:@]+))?(?::([^:\s]+))?")
TRIES = 5
"""Attempts in a row that bring nothing before a file is given up."""


def offline_switch(env: Mapping[str, str] = os.environ) -> str:
    """The variable by which the environment forbids to ask the hub, one of those its own library reads; "" for none."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return next((name for name in names if env.get(name, "").upper() in ("1", "ON", "YES", "TRUE")), "")


def fetch(request: Request, staging: Staging) -> Generator[Progress, None, Fetched]:
    """Ask for the list of files, choose, and fetch each; what an earlier pull left is used.

    Raises:
        ConfigError: two revisions are named.
        StoreError: offline; unreachable; no such model, revision or file; no access; a file fails its checks.
        RefusedError: only pickled weights, or paths that escape.
        CapacityError: it does not fit on the disk.
    """
    spelled = NAME.fullmatch(request.text)
    if not spelled:
        raise StoreError(f"{shown(request.text)} is no name of a hub model", f"write it as {SPELLING}")
    repo, revision, selector = spelled.groups()
    if revision and request.revision and revision != request.revision:
        raise ConfigError(f"two revisions: {revision} and {request.revision}", "give one")
    revision = request.revision or revision
    if request.is_offline or offline_switch():
        why = "--offline" if request.is_offline else f"{offline_switch()} is set"
        fix = "allow the network for one pull, or bring the model by other means: hanlin pull ./folder --name NAME"
        raise StoreError(f"{repo} is not in the store, and the hub may not be asked: {why}", fix)
    info = _listed(repo, revision, request.seconds)
    found = {file.rfilename: file for file in info.siblings or ()}
    choice = choose(found, selector, repo)
    wanted = {path: _wanted(choice, found[path], repo) for path in choice.paths}
    total = sum(file.bytes for file in wanted.values())
    yield Progress(total_bytes=total, note=f"{repo} at {info.sha[:12]}: {len(wanted)} files, {total / 1e6:,.1f} MB")
    finished = {path: already(file, staging) for path, file in wanted.items()}
    parts = sum(part.stat().st_size for part in staging.parts.glob("*.part"))
    need(total - parts - sum(file.bytes for file in finished.values() if file), staging.parts)
    kept, done = [], 0
    for path, file in wanted.items():
        if not (whole := finished[path]):
            with Part(file, staging) as part:
                for note in _receive(repo, info.sha, path, part):
                    yield Progress(path, done + part.here_bytes, total, note)
                whole = part.finish()
        kept.append(whole)
        done += file.bytes
        yield Progress(path, done, total)
    return Fetched(
        source="hub", origin=repo, files=tuple(kept), entry=choice.entry, revision=info.sha, licence=_licence(info)
    )


def _listed(repo: str, revision: str | None, seconds: float) -> Any:
    """What the hub knows of a model: commit, files, sizes, checksums. One question, answered in time or given up."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        info = _within(
            seconds + 0.5, lambda: api.model_info(repo, revision=revision, timeout=seconds, files_metadata=True)
        )
    except Exception as error:
        raise _explained(error, repo, revision) from None
    if not re.fullmatch("[0-9a-f]{40}", info.sha or ""):
        fix = "if HF_ENDPOINT is set, check that it is a hub"
        raise StoreError(f"the hub names no commit for {repo}: {shown(info.sha)}", fix)
    return info


def _within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`, or a TimeoutError: the look-up of an address has no time limit of its own."""
    answers: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((work(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:g} seconds") from None
    if error:
        raise error
    return result  # pyright: ignore[reportReturnType] — None only where work itself returns it


def _wanted(choice: Choice, file: Any, repo: str) -> Wanted:
    sha256 = getattr(file.lfs, "sha256", None) or None
    if file.size is None or not (sha256 or file.blob_id):
        fix = "if HF_ENDPOINT is set, choose a mirror that gives sizes and checksums"
        raise StoreError(f"the hub gives no checksum for {file.rfilename} of {repo}", fix)
    return Wanted(choice.target(file.rfilename), file.size, sha256, None if sha256 else file.blob_id)


def _receive(repo: str, commit: str, path: str, part: Part) -> Iterator[str]:
    """Bring the rest of one file; yields "" after each piece, and a sentence when the connection was cut."""
    failed = 0
    while part.here_bytes < part.wanted.bytes or not part.wanted.bytes:
        before = part.here_bytes
        try:
            yield from _stream(repo, commit, path, part)
            if part.here_bytes == part.wanted.bytes:
                return
            reason = "the connection was closed"
        except HanlinError:
            raise
        except Exception as error:
            known = _explained(error, f"{path} of {repo}", commit)
            if not _is_passing(error):
                raise known from None
            reason = str(error) or type(error).__name__
        failed = 1 if part.here_bytes > before else failed + 1
        if failed >= TRIES:
            what = f"{path} of {repo}: {_first_line(reason)}, {TRIES} times in a row"
            fix = f"pull again later: it goes on from {part.here_bytes:,} of {part.wanted.bytes:,} bytes"
            raise StoreError(what, fix)
        yield f"{path}: {_first_line(reason)}; going on from {part.here_bytes:,} of {part.wanted.bytes:,} bytes"
        time.sleep(min(4.0, 0.25 * 2**failed))


def _stream(repo: str, commit: str, path: str, part: Part) -> Iterator[str]:
    """One request for what is missing of a file."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    url = hf_hub_url(repo, path, revision=commit, endpoint=os.environ.get("HF_ENDPOINT"))
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if part.here_bytes:
        headers["Range"] = f"bytes={part.here_bytes}-"
    with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as reply:
        if reply.status_code >= 400:
            reply.read()
        if reply.status_code == 416:
            part.restart()
            return
        hf_raise_for_status(reply)
        if reply.headers.get("Content-Type", "").startswith("text/html"):
            fix = "open the hub in a browser: a login page or a proxy answers in its place; check HF_ENDPOINT too"
            raise StoreError(f"the hub sent a web page instead of {path}", fix)
        begins_there = reply.headers.get("Content-Range", "").startswith(f"bytes {part.here_bytes}-")
        if part.here_bytes and not (reply.status_code == 206 and begins_there):
            part.restart()
        for chunk in reply.iter_bytes():  # as they come: pieces of a fixed size would lose the last one at a cut
            part.add(chunk)
            yield ""


def _is_passing(error: Exception) -> bool:
    """Whether another try may help: the line broke, or the server is busy."""
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 429, 500, 502, 503, 504)
    return isinstance(error, OSError) or _is_transport(error)


def _is_transport(error: Exception) -> bool:
    """Whether the HTTP library under the hub's, which differs between its versions, could not get through."""
    return any(kind.__name__ == "TransportError" for kind in type(error).__mro__)


def _explained(error: Exception, what: str, revision: str | None) -> StoreError:
    """The hub's or the network's answer, with what to do about it."""
    from huggingface_hub import constants, errors

    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    token = "log in with `hf auth login`, or set HF_TOKEN"
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else 0
    if isinstance(error, errors.GatedRepoError):
        return StoreError(f"{what} is gated: its owner asks for consent first", f"give it at {endpoint}, then {token}")
    if isinstance(error, errors.RevisionNotFoundError):
        return StoreError(f"{what} has no revision {shown(revision)}", "name a branch, a tag or a commit it has")
    if isinstance(error, errors.RepositoryNotFoundError):
        return StoreError(
            f"the hub has no model {what} that you may see", f"check the spelling; if it is private, {token}"
        )
    if isinstance(error, errors.HFValidationError):
        return StoreError(f"{shown(what)} is no name of a hub model: {_first_line(error)}", f"write it as {SPELLING}")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return StoreError(f"{what}: the hub's library is offline", "unset HF_HUB_OFFLINE")
    if status in (401, 403):
        return StoreError(f"the hub refuses {what}: HTTP {status}", f"{token}; a wrong token is refused too")
    if status:
        fix = "try again later" if status >= 500 or status == 429 else "check the name, and HF_ENDPOINT if it is set"
        return StoreError(f"the hub answers HTTP {status} for {what}", fix)
    if isinstance(error, OSError) or _is_transport(error):
        fix = "check the network (hanlin doctor), HTTPS_PROXY, or HF_ENDPOINT for a mirror"
        return StoreError(f"the hub at {endpoint} does not answer: {_first_line(error) or type(error).__name__}", fix)
    if isinstance(error, (ValueError, KeyError, TypeError, AttributeError)):
        fix = "a login page or a proxy may answer in its place; check HF_ENDPOINT too"
        return StoreError(f"the hub at {endpoint} sent something that is no answer: {_first_line(error)}", fix)
    raise error


def _first_line(error: object) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def _licence(info: Any) -> str | None:
    tagged = [tag.partition(":")[2] for tag in info.tags or () if tag.startswith("license:")]
    return tagged[0] if tagged else None
