"""Slash commands: a line such as `/save talk.json` in, what to print (and to do next) out.

A command is a function in `COMMANDS`; errors are raised and printed by the caller, and the chat goes on.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hanlin.cli.chat.conversation import Conversation, load, save
from hanlin.cli.chat.talk import DEFAULTS, Talk, speed
from hanlin.cli.chat.words import Words
from hanlin.core.errors import ConfigError, did_you_mean
from hanlin.core.home import expanded
from hanlin.core.settings import override, parse
from hanlin.infer.sampling import Sampling

FIXED = ("n", "logprobs")
"""Settings of `hanlin generate` that mean nothing in a chat."""


@dataclass(frozen=True)
class Reply:
    """What a command leads to."""

    lines: tuple[str, ...] = ()
    """To be printed."""
    question: str | None = None
    """To be asked now."""
    leaves: bool = False
    """The chat ends."""


def is_command(line: str) -> bool:
    """A line that begins with one slash; two make it a message that begins with one."""
    return line.startswith("/") and not line.startswith("//")


def run(talk: Talk, line: str, words: Words) -> Reply:
    """Do what a slash command says.

    Raises:
        HanlinError: the command is unknown, or cannot be done; nothing has changed then.
    """
    name, _, argument = line[1:].partition(" ")
    name = {"exit": "quit", "q": "quit", "?": "help"}.get(name, name)
    if name not in COMMANDS:
        raise ConfigError(f"/{name} is not a command", did_you_mean(f"/{name}", [f"/{known}" for known in COMMANDS]))
    return COMMANDS[name](talk, argument.strip(), words)


def _help(talk: Talk, argument: str, words: Words) -> Reply:
    del talk, argument
    usage = {"system": "TEXT", "params": "name=value …", "save": "FILE", "load": "FILE"}
    rows = [f"  {f'/{name} {usage.get(name, str())}':<24}{words(f'help_{name}')}" for name in COMMANDS]
    return Reply((*rows, f"  {words('help_slash')}", f"  {words('help_keys')}"))


def _reset(talk: Talk, argument: str, words: Words) -> Reply:
    del argument
    talk.messages.clear()
    talk.measure()
    return Reply((words("reset"),))


def _undo(talk: Talk, argument: str, words: Words) -> Reply:
    del argument
    talk.undo()
    return Reply((words("undone"),))


def _retry(talk: Talk, argument: str, words: Words) -> Reply:
    del argument, words
    return Reply(question=talk.undo())


def _system(talk: Talk, argument: str, words: Words) -> Reply:
    if not argument:
        return Reply((words("system", text=talk.system) if talk.system else words("no_system"),))
    talk.system = "" if argument == "-" else argument
    talk.measure()
    return Reply((words("system_set" if talk.system else "system_gone"),))


def _params(talk: Talk, argument: str, words: Words) -> Reply:
    if not argument:
        values = [f"  {name} = {value!r}" for name, value in talk.sampling.model_dump(exclude={*FIXED}).items()]
        return Reply((*values, words("params")))
    if argument == "default":
        talk.sampling = DEFAULTS
        return Reply((words("changed", params="default"),))
    try:
        assignments = shlex.split(argument)
    except ValueError as error:
        raise ConfigError(f"{argument}: {error}", "close the quotes") from None
    for name in (assignment.partition("=")[0].strip() for assignment in assignments):
        if name in FIXED:
            raise ConfigError(f"{name} is not a setting of a chat", "`hanlin generate --chat` has it")
    talk.sampling = parse(Sampling, override(talk.sampling.model_dump(), assignments))
    return Reply((words("changed", params=" ".join(assignments)),))


def _stats(talk: Talk, argument: str, words: Words) -> Reply:
    del argument
    import psutil

    memory = psutil.Process().memory_info().rss / (1 << 30)
    rate = speed(talk.tokens, talk.seconds, talk.first_seconds, talk.answers)
    first = talk.first_seconds / talk.answers if talk.answers else 0.0
    done = words("stats", turns=talk.answers, tokens=talk.tokens, seconds=talk.seconds, rate=rate, first=first)
    count = len(talk.all_messages())
    return Reply((done, words("stats_context", used=talk.used, context=talk.context, messages=count, memory=memory)))


def _save(talk: Talk, argument: str, words: Words) -> Reply:
    path = _path(argument, "/save talk.json")
    changed = talk.sampling.model_dump(mode="json", exclude={*FIXED})
    plain = Sampling().model_dump(mode="json")
    params = {name: value for name, value in changed.items() if value != plain[name]}
    save(Conversation(model=talk.model.name, params=params, messages=talk.all_messages()), path)
    return Reply((words("saved", count=len(talk.all_messages()), path=path),))


def _load(talk: Talk, argument: str, words: Words) -> Reply:
    path = _path(argument, "/load talk.json")
    return Reply(tuple(restore(talk, *load(path), path, words)))


def restore(talk: Talk, conversation: Conversation, sampling: Sampling, path: Path, words: Words) -> list[str]:
    """Go on with a saved conversation and its settings; returns what to say about it."""
    messages = list(conversation.messages)
    is_headed = bool(messages) and messages[0].role == "system"
    talk.system = messages.pop(0).content if is_headed else ""
    talk.messages, talk.sampling = messages, sampling
    talk.measure()
    lines = [words("loaded", count=len(conversation.messages), path=path)]
    if conversation.model != talk.model.name:
        lines.append(words("other_model", model=conversation.model))
    return lines


def _quit(talk: Talk, argument: str, words: Words) -> Reply:
    del talk, argument, words
    return Reply(leaves=True)


def _path(argument: str, example: str) -> Path:
    if not argument:
        raise ConfigError("there is no file name", f"give one: {example}")
    if "\0" in argument:
        raise ConfigError("a file name cannot hold a zero byte", f"give another: {example}")
    return expanded(argument.strip("'\""))


COMMANDS: dict[str, Callable[[Talk, str, Words], Reply]] = {
    "help": _help,
    "retry": _retry,
    "undo": _undo,
    "reset": _reset,
    "system": _system,
    "params": _params,
    "stats": _stats,
    "save": _save,
    "load": _load,
    "quit": _quit,
}
