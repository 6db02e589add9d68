"""`hanlin train RUN --on ray[://ADDRESS]`: the same workers, started and watched by Ray Train on the machines it has.

All machines see the run's folder, its data and its models under the same paths. Where a worker dies, Ray starts all of
them again, and they go on from the last checkpoint (https://docs.ray.io/en/latest/train/train.html).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hanlin.cli.train.workers import TRIES, made
from hanlin.core.errors import CapacityError, ConfigError, HanlinError, RefusedError
from hanlin.train.crew import PATIENCE, joined
from hanlin.train.prepare import folder_of
from hanlin.train.settings import RunFile, written

REFUSED = "refused"
"""A file in the run's folder, in which a worker says what is wrong: Ray would try in vain again."""


def train_on_ray(settings: RunFile, options: Mapping[str, Any], where: str) -> None:
    """Train with `options["workers"]` workers of the cluster at `where`: "ray" is this machine, or $RAY_ADDRESS.

    Raises:
        ConfigError: Ray is not here, not reached, or the cluster is too small.
        CapacityError: workers died too often.
    """
    kind, _, address = where.partition("://")
    if kind != "ray":
        raise ConfigError(f"--on {where} is no place to train on", "--on ray, or --on ray://HOST:PORT")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
        from ray.train.torch import TorchConfig, TorchTrainer
    except ImportError:
        raise ConfigError("--on ray needs Ray, which is not installed", "pip install 'hanlin[ray]'") from None
    folder = folder_of(settings).absolute()
    if not ray.is_initialized():
        try:
            ray.init(address=address or None, include_dashboard=False, log_to_driver=True)
        except (ConnectionError, RuntimeError, ValueError) as error:
            what = f"no Ray cluster at {address or 'this machine'}: {str(error).splitlines()[0]}"
            raise ConfigError(what, "start one with `ray start --head`, or use --on ray alone") from None
    try:
        count, has_gpus = options["workers"], bool(ray.cluster_resources().get("GPU"))
        each = _share(ray.cluster_resources(), count, "GPU" if has_gpus else "CPU")
        refused = folder / REFUSED
        refused.unlink(missing_ok=True)
        config = {
            "settings": written(settings.model_copy(update={"out": str(folder)})),
            "options": {name: options[name] for name in ("resume", "restart", "force", "until")},
            "known": sorted(made(folder)),
            "cwd": str(Path.cwd()),
        }
        trainer = TorchTrainer(
            _worker,
            train_loop_config=config,
            torch_config=TorchConfig(
                "cpu:gloo,cuda:nccl" if has_gpus else "gloo", timeout_s=int(PATIENCE.total_seconds())
            ),
            scaling_config=ScalingConfig(num_workers=count, use_gpu=has_gpus, resources_per_worker=each),
            run_config=RunConfig(
                name="ray", storage_path=str(folder), failure_config=FailureConfig(max_failures=TRIES)
            ),
        )
        try:
            trainer.fit()
        except TrainingFailedError as error:
            what = f"the workers failed {TRIES + 1} times, at last with: {str(error).strip().splitlines()[-1]}"
            raise CapacityError(what, f"see {folder / 'ray'}; go on with --resume") from None
        if refused.is_file():
            what, _, fix = refused.read_text(encoding="utf-8").partition("\n")
            refused.unlink()
            raise RefusedError(what, fix)
    finally:
        ray.shutdown()


def _worker(config: dict[str, Any]) -> None:
    """One of the workers: where they were started before, they go on from the checkpoint they left."""
    from hanlin.cli.commands.train import take
    from hanlin.core.settings import parse

    if Path(config["cwd"]).is_dir():
        os.chdir(config["cwd"])
    settings, options = parse(RunFile, config["settings"]), dict(config["options"])
    folder, crew = folder_of(settings), joined()
    if crew.led((folder / REFUSED).is_file):
        return
    known = {tuple(one) for one in config["known"]}
    if crew.led(lambda: bool(made(folder) - known)):
        options |= {"resume": True, "restart": False}
    try:
        take(settings, options, crew)
    except HanlinError as error:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REFUSED).write_text(f"{error.what}\n{error.fix}", encoding="utf-8")
        raise


def _share(resources: Mapping[str, float], count: int, kind: str) -> dict[str, float]:
    """What each worker may take.

    Raises:
        ConfigError: there is not one for each.
    """
    there = int(resources.get(kind, 0))
    if there < count:
        raise ConfigError(f"the cluster has {there} {kind}s for {count} workers", f"--workers {max(1, there)}")
    return {"CPU": 1.0, "GPU": 1.0} if kind == "GPU" else {"CPU": float(there // count)}
