"""See what this machine can do, what fits on it, and what stands in the way."""

import json
import sys
from typing import Any

import click


@click.command()
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the page.")
@click.option("--offline", is_flag=True, help="Ask nothing of the network (as HF_HUB_OFFLINE=1 does).")
@click.option("--quick", is_flag=True, help="Measure nothing: no speeds, no ceilings.")
@click.option("--strict", is_flag=True, help="Exit with 2 when there is a problem.")
@click.pass_context
def command(ctx: click.Context, is_json: bool, offline: bool, quick: bool, strict: bool) -> None:
    """Cores, memory, instruction sets, speeds, network: what fits here, and each problem with its fix."""
    found = examine(offline, quick, is_quiet=is_json)
    if is_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        from hanlin.cli.doctor.print import show
        from hanlin.cli.page import page

        show(page(), found)
    ctx.exit(2 if strict and found["problems"] else 0)


def examine(is_offline: bool, is_quick: bool, is_quiet: bool = True) -> dict[str, Any]:
    """All facts, notes and problems as one JSON object; takes about five seconds, two of them for the network."""
    from concurrent.futures import ThreadPoolExecutor

    from hanlin.cli.doctor import facts, network
    from hanlin.cli.doctor.fits import fits
    from hanlin.model.store.sources.hub import offline_switch

    def say(what: str) -> None:
        if not is_quiet and sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{what}{'…' if what else ''}")
            sys.stderr.flush()

    switch = offline_switch()
    why = "--offline" if is_offline else f"{switch} is set" if switch else ""
    with ThreadPoolExecutor(1) as pool:
        asked = None if why else pool.submit(network.look)
        say("looking at the machine and the network")
        found = facts.gather()
        found["network"] = asked.result() if asked else {"skipped": why}
    if not is_quick and "error" not in found["torch"]:
        say("measuring")  # after the network: pip takes a core while it looks
        found["speed"] = facts.speeds(found["memory"]["available_bytes"], found["processor"]["cores"]["count"])
    say("")
    read = found["speed"]["read_bytes_per_second"] if "speed" in found else None
    found["fits"] = fits(found["memory"]["available_bytes"], read)
    found["notes"] = list(facts.notes(found))
    found["problems"] = [*facts.problems(found), *([] if why else network.problems(found["network"]))]
    return found
