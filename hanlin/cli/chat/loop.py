"""The chat itself: lines from a person or a pipe in, answers on the screen out, until there are no more lines."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hanlin.cli.chat import slash
from hanlin.cli.chat.markdown import drawing
from hanlin.cli.chat.talk import Talk, speed
from hanlin.cli.chat.words import Words
from hanlin.core.errors import DataError, HanlinError, RefusedError
from hanlin.infer.engine.settings import EngineSettings
from hanlin.text.template import ChatTemplate
from hanlin.text.tokenizer import Tokenizer


class Loop:
    """Where a chat speaks: answers to `out`, all other words to `err`, which on a terminal are the same place."""

    def __init__(self, words: Words, out: Console | None = None, err: Console | None = None) -> None:
        self.words = words
        self.out = out or Console(highlight=False)
        self.err = err or (self.out if self.out.is_terminal else Console(stderr=True, highlight=False))
        self.failures = 0
        self.is_typed = sys.stdin.isatty() and self.out.is_terminal

    def say(self, line: str) -> None:
        """A line of the chat's own."""
        self.err.print(Text(line, style="dim"), soft_wrap=True)

    def say_all(self, lines: Iterable[str]) -> None:
        """Several of them."""
        for line in lines:
            self.say(line)

    def fail(self, error: HanlinError) -> None:
        """An error's two lines; the chat goes on."""
        self.failures += 1
        self.err.print(Text(error.what, style="red"), soft_wrap=True)
        if error.fix:
            self.err.print(Text(f"  fix: {error.fix}"), soft_wrap=True)

    @contextlib.contextmanager
    def waiting(self, line: str) -> Iterator[None]:
        """A line that stands on the terminal while something takes its time, and then goes."""
        if self.is_typed:
            self.out.print(Text(line, style="dim"), end="\r")
        try:
            yield
        finally:
            if self.is_typed:
                self.out.file.write("\r\x1b[K")

    def run(self, talk: Talk) -> int:
        """Talk until the lines end; returns the number of failures, 0 for a person at the keyboard."""
        if not self.is_typed:
            from hanlin.cli.chat.prompt import from_pipe

            self.talk(talk, from_pipe())
            return self.failures
        from hanlin.cli.chat.prompt import from_terminal, history, terminal_session

        self.say(self.words("welcome", model=talk.model.name, context=talk.context))
        session = terminal_session(talk, self.words, history(self.words, self.say))
        self.talk(talk, from_terminal(session, self.say, self.words))
        self.say(self.words("bye"))
        return 0

    def talk(self, talk: Talk, lines: Iterator[str]) -> None:
        """Each line: a slash command, or a question to answer."""
        for line in lines:
            try:
                question: str | None = line[1:] if line.startswith("//") else line
                if slash.is_command(line):
                    reply = slash.run(talk, line, self.words)
                    self.say_all(reply.lines)
                    if reply.leaves:
                        return
                    question = reply.question
                if question is not None:
                    self.answer(talk, question)
            except HanlinError as error:
                self.fail(error)

    def answer(self, talk: Talk, question: str) -> None:
        """Ask, draw the answer as it comes, and say what it took. Ctrl-C stops the answer and keeps what was said.

        Raises:
            HanlinError: the question cannot be answered.
        """
        plan = talk.plan(question)
        if plan.forgotten:
            self.say(self.words("forgotten", count=plan.forgotten))
        before, seconds, first = talk.tokens, talk.seconds, talk.first_seconds
        messages = len(talk.messages)
        finish, is_stopped = None, False
        events = talk.answer(question, plan)
        with contextlib.closing(events):
            try:
                with hush(self.is_typed), drawing(self.out, self.words("reading", tokens=plan.tokens)) as page:
                    for event in events:
                        page.push(event.text)
                        finish = event.finish
            except KeyboardInterrupt:
                if not self.is_typed:
                    raise
                is_stopped = True
        count, took, waited = talk.tokens - before, talk.seconds - seconds, talk.first_seconds - first
        is_kept = len(talk.messages) > messages
        if is_stopped:
            self.say(self.words("stopped" if is_kept else "stopped_early"))
        elif not is_kept:
            self.say(self.words("silent"))
        elif finish == "length":
            is_full = plan.most < talk.sampling.max_tokens
            self.say(self.words("cut_context") if is_full else self.words("cut_max", tokens=plan.most))
        if count:
            figures = {"first": waited, "rate": speed(count, took, waited), "used": talk.used, "context": talk.context}
            self.say(self.words("answer_stats", tokens=count, **figures))
        if self.is_typed:
            self.say("")


@contextlib.contextmanager
def hush(is_typed: bool) -> Iterator[None]:
    """While an answer is drawn, keys typed ahead are kept for the next question but not echoed into the drawing."""
    if sys.platform == "win32" or not is_typed or not sys.stdin.isatty():
        yield
        return
    import termios

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    termios.tcsetattr(keyboard, termios.TCSANOW, [*before[:3], before[3] & ~termios.ECHO, *before[4:]])
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)


def open_talk(
    name: str | None,
    template: Path | None,
    dtype: str | None = None,
    adapter: str | None = None,
    engine: EngineSettings | None = None,
    draft: str | None = None,
) -> Talk:
    """The model, ready to talk.

    Raises:
        RefusedError: it has no chat template, and the user brought none.
        HanlinError: it cannot be found or read.
    """
    from hanlin.cli.models import open_model

    source = read_template(template) if template else None
    model = open_model(name, dtype, adapter, engine, draft)
    if source is not None:
        known = model.tokenizer.template
        written = ChatTemplate(source, known.special if known else special_words(model.tokenizer))
        tokenizer = replace(model.tokenizer, template=written)
        checkpoint = replace(model.checkpoint, tokenizer=tokenizer)
        model = type(model)(checkpoint, model.name, model.network, model.adapter, model.settings, model.draft)
    if model.tokenizer.template is None:
        fix = "let it continue a text (hanlin generate), or bring a template: --template FILE"
        raise RefusedError(f"{model.name} has no chat template: it was not taught to talk", fix)
    return Talk(model)


def special_words(tokenizer: Tokenizer) -> dict[str, str]:
    """The special tokens a template may name, as this tokenizer spells them."""
    found = {"bos_token": tokenizer.bos, "eos_token": next(iter(tokenizer.eos), None)}
    return {name: tokenizer.token_text(token) for name, token in found.items() if token is not None}


def read_template(path: Path) -> str:
    """The source of a chat template that the user brings.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "name a Jinja file") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text", "name a Jinja file") from None
