"""What a server may be told: `hanlin serve --help` and a run file say the same."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from hanlin.core.settings import Settings

Dtype = Literal["auto", "float32", "bfloat16", "int8", "int4", "stored"]
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ServeSettings(Settings):
    """Where to listen, what to serve, and how much to let in."""

    host: str = "127.0.0.1"
    """Address to listen on; any but this machine's own needs a key (hanlin keys add) or --insecure."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port; 0 takes a free one and says which."""
    dtype: Dtype = "auto"
    """How models compute; auto is int8 where there are native kernels, else float32."""
    engine: Literal["own", "vllm"] = "own"
    """What computes: this process, or a vLLM server; the API is the same."""
    vllm_url: str = "http://127.0.0.1:8001"
    """With engine vllm, where it listens; its key comes from VLLM_API_KEY. Of MODEL only the tokenizer is read here."""
    on: str | None = None
    """Serve on a Ray cluster: ray is this machine, ray://HOST:PORT another one  [default: this process]"""
    replicas: int = Field(default=1, ge=1)
    """On Ray: processes that serve the same models; each reads the beginnings that are its own."""
    max_replicas: int | None = Field(default=None, ge=1)
    """On Ray: as many when there is much to do  [default: as many as replicas]"""
    alias: tuple[str, ...] = ()
    """Other names for models, as NAME=MODEL; several times for several."""
    adapter: tuple[str, ...] = ()
    """LoRA adapters of the first model, as NAME=FOLDER; requests name them in the place of a model."""
    on_demand: bool = False
    """Also serve every model of the store, loaded when it is first asked for."""
    memory_mb: int | None = Field(default=None, ge=64)
    """Most memory of all loaded models; an idle one makes room for the next  [default: 80 % of what is free]"""
    idle_seconds: float | None = Field(default=None, gt=0)
    """Let go of a model that nobody asked for so long  [default: keep it]"""
    streams: int = Field(default=16, ge=1, le=256)
    """Answers of a model that are computed together; others wait."""
    queue: int = Field(default=64, ge=0)
    """Requests of a model that may wait; beyond, 429 with the time to come back."""
    context: int | None = Field(default=None, ge=16)
    """Tokens of a prompt with its answer  [default: what the model was made for]"""
    kv_store: Literal["float32", "bfloat16", "int8"] = "float32"
    """What keys and values are kept as."""
    kv_mb: int | None = Field(default=None, ge=8)
    """Memory for keys and values of a model  [default: an eighth of memory_mb]"""
    prefix_folder: str = ""
    """Keep what was read of prompts in this folder: what begins alike is not read again, also after a restart."""
    prefix_mb: int = Field(default=1000, ge=1)
    """Largest size of that folder; what was used longest ago goes first."""
    max_n: int = Field(default=16, ge=1, le=128)
    """Most answers to one prompt, and prompts in one request."""
    max_body_kb: int = Field(default=4096, ge=1)
    """Largest body of a request."""
    request_seconds: float = Field(default=600.0, gt=0)
    """An answer that takes longer is ended, with "length" as its reason."""
    body_seconds: float = Field(default=30.0, gt=0)
    """A request whose body has not come after so long is closed with 408; one whose head has not, without a word."""
    drain_seconds: float = Field(default=30.0, ge=0)
    """On SIGTERM answers may go on for so long, then they are ended with an event that says so."""
    keys: Path | None = None
    """File of keys  [default: keys.json in HANLIN_HOME]"""
    insecure: bool = False
    """Listen beyond this machine without a key."""
    cors: tuple[str, ...] = ()
    """Origins whose pages may call the API from a browser, such as https://example.org; several times for several."""
    ssl_certfile: Path | None = None
    """Certificate for TLS, PEM."""
    ssl_keyfile: Path | None = None
    """Its private key, PEM."""
    state: str | None = None
    """Where conversations and responses are kept: a file for SQLite or a postgresql:// URL  [default: state.db in
    HANLIN_HOME]"""
    log_prompts: bool = False
    """Write prompts and answers into the log; without it no text of a user is ever logged."""
    studio: bool = True
    """Serve the studio at /."""
