"""The chat page as one opened it: the list of conversations, the thread, what is typed, the settings."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from nicegui import background_tasks, ui

from hanlin.infer.event import Event
from hanlin.studio.asking import Ask, Reading, Taken, answers
from hanlin.studio.chat import store, tokens
from hanlin.studio.chat.bubble import Bubble, Deeds
from hanlin.studio.chat.composer import Composer
from hanlin.studio.chat.panel import PRESETS, Panel
from hanlin.studio.chat.shelf import Shelf
from hanlin.studio.chat.tree import Conversation, Message
from hanlin.studio.parts import box, button, labelled, tell, telling, words
from hanlin.studio.serving import state_of
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import chat

ALTERNATIVES = 8
"""Kept of each place of an answer."""


class Room:
    """One visitor's chat page."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.say = visitor, visitor.say
        self.talk = self._fresh()
        self.client = ui.context.client
        self.working: dict[str, asyncio.Task[None]] = {}
        self.bubbles: dict[str, Bubble] = {}
        self.deeds = Deeds(self.edit, self.retry, self.branch)

    def _fresh(self) -> Conversation:
        return Conversation(models=[self.visitor.server.pool.default], sampling=dict(PRESETS["balanced"]))

    def draw(self) -> None:
        """All parts, empty."""
        with box("chat") as self.outer:
            self.shelf = Shelf(self)
            with box("talk", "section"):
                self._bar()
                with box("scroller").props('tabindex="0"') as scroller:
                    scroller.props["role"] = "log"
                    scroller.props["aria-label"] = self.say(chat.TITLE)
                    scroller.props["aria-live"] = "off"
                    self.thread = box("thread")
                self.composer = Composer(self)
            with box("panel", "aside") as aside:
                aside.props["aria-label"] = self.say(chat.SETTINGS)
                self._settings()
        self.client.on_delete(self.leave)
        ui.on("branch_token", self._branch_token)

    def _bar(self) -> None:
        pool = self.visitor.server.pool
        with box("bar", "header"):
            button("menu", self.say(chat.SHOW_CONVERSATIONS)).on(
                "click", js_handler="() => hanlin.toggle('.chat', 'with-shelf', 'without-shelf')"
            )
            names = pool.names()
            self.models = ui.select(names, value=list(self.talk.models), multiple=True, on_change=self._choose)
            self.models.props("dense borderless use-chips options-dense").classes("models")
            labelled(self.models, self.say(chat.SEVERAL))
            self.state = words("span", "", "model-state")
            box("spring")
            made = button("tune", self.say(chat.SHOW_SETTINGS), classes="tune")
            made.on("click", js_handler="() => hanlin.toggle('.chat', 'with-panel', 'without-panel')")
        ui.timer(0.7, self._tell_state)

    def _tell_state(self) -> None:
        told = [state_of(self.visitor, name) for name in self.talk.models]
        self.state.text = " · ".join(one for one in told if one)

    def _settings(self) -> None:
        words("h2", self.say(chat.SETTINGS))
        self.system = ui.textarea(self.say(chat.SYSTEM), on_change=self._systematise)
        self.system.props("outlined autogrow dense").classes("system")
        words("p", self.say(chat.SYSTEM_HINT), "help")
        self.panel = Panel(self.visitor, dict(self.talk.sampling), self._set)

    def _set(self) -> None:
        self.talk.sampling = dict(self.panel.values)

    def _systematise(self, event: Any) -> None:
        self.talk.system = event.value or ""

    def _choose(self, event: Any) -> None:
        self.talk.models = list(event.value or ())

    async def begin(self, entry: str) -> None:
        """Show a conversation, or an empty one."""
        found = await store.found(self.visitor.server.state, self.visitor.owner, entry) if entry else None
        self.open(found or self._fresh())
        await self.shelf.fill()

    def open(self, talk: Conversation) -> None:
        """Show another conversation."""
        self.leave()
        self.talk = talk
        self.system.value = talk.system
        self.panel.fill(dict(talk.sampling))
        self.talk.sampling = dict(self.panel.values)
        known = [name for name in talk.models if name in self.models.options]
        self.models.value = known or [self.visitor.server.pool.default]
        self.redraw()
        self.client.run_javascript("hanlin.focus('.composer textarea')")

    def redraw(self) -> None:
        """The thread, as its path goes."""
        self.thread.clear()
        self.bubbles = {}
        path = self.talk.path()
        with self.thread:
            if not path:
                self._welcome()
            for message in path:
                beside = self.talk.beside(message)
                if len(beside) == 1:
                    self._bubble(message)
                    continue
                with box("beside").style(f"--columns: {len(beside)}"):
                    for one in beside:
                        self._bubble(one)
        self.composer.measure(path)
        self.client.run_javascript("hanlin.bottom()")

    def _bubble(self, message: Message) -> None:
        live = message.id in self.working
        self.bubbles[message.id] = Bubble(self.visitor, self.talk, message, self.deeds, live)

    def _welcome(self) -> None:
        with box("welcome"):
            words("div", "翰", "seal").props["aria-hidden"] = "true"
            words("h1", self.say(chat.WELCOME))
            words("p", self.say(chat.WELCOME_LINE, model=", ".join(self.talk.models)))
            with box("starts"):
                for one in chat.STARTS:
                    text = self.say(one)
                    made = ui.button(text, on_click=lambda _, text=text: self.send(text), color=None).props(
                        "flat no-caps"
                    )
                    made.classes("start")

    def send(self, text: str) -> None:
        """Say something, and have it answered."""
        if not text.strip() or self.working:
            return
        if not self.talk.models:
            ui.notify(self.say(chat.NO_MODEL), type="warning", position="top")
            return
        path = self.talk.path()
        asked = self.talk.add("user", text.strip(), path[-1].id if path else None)
        self._answer(asked, list(self.talk.models))

    def edit(self, message: Message, text: str) -> None:
        """Say something else in its place; what was said stays as another branch."""
        if self.working or not text.strip():
            return
        self._answer(self.talk.add("user", text.strip(), message.parent), list(self.talk.models))

    def retry(self, message: Message) -> None:
        """Have it answered again."""
        if self.working or message.parent is None:
            return
        beside = self.talk.beside(message)
        models = [one.model for one in beside] if len(beside) > 1 else list(self.talk.models)
        self._answer(self.talk.messages[message.parent], models)

    def branch(self, message: Message) -> None:
        """Show the path through a message."""
        if not self.working:
            self.talk.show(message)
            self.redraw()
            background_tasks.create(self._keep())

    def _branch_token(self, event: Any) -> None:
        """Go on from another token at some place of an answer."""
        message = self.talk.messages.get(str(event.args.get("message")))
        place, token = int(event.args.get("place", 0)), int(event.args.get("token", -1))
        if self.working or message is None or message.parent is None or not 0 <= place < len(message.tokens):
            return
        chosen = next((one for one in message.tokens[place][3] if one[0] == token), None)
        if chosen is None:
            return
        begun = [*message.tokens[:place], (*chosen, message.tokens[place][3])]
        self._answer(self.talk.messages[message.parent], [message.model], begun)

    def _answer(self, asked: Message, models: list[str], begun: list[Any] | None = None) -> None:
        name = f"{time.time():.6f}"
        made = [self.talk.add("assistant", "", asked.id, model=model, round=name) for model in models]
        self.talk.leaf = made[0].id
        for one in made:
            if begun:
                one.tokens = list(begun)
                one.content = "".join(part[1] for part in begun)
            self.working[one.id] = background_tasks.create(self._make(one, asked))
        self.redraw()
        self.composer.work(True)

    async def _make(self, message: Message, asked: Message) -> None:
        began, first, told = time.monotonic(), None, 0
        given = [one[0] for one in message.tokens]
        settings = {**self.talk.sampling, "logprobs": ALTERNATIVES}
        ask = Ask(message.model, self.talk.turns(asked.id), settings, tuple(given))
        tokenizer: Any = None
        with self.client:
            try:
                self._grow(message, state_of(self.visitor, message.model) or self.say(chat.WAITING))
                async for item in answers(self.visitor, ask):
                    if isinstance(item, Taken):
                        tokenizer = item.tokenizer
                        message.stats |= {"prompt": item.prompt, "context": item.context}
                    elif isinstance(item, Reading):
                        self._grow(message, self.say(chat.READING, read=item.read, tokens=item.tokens))
                    else:
                        first = first or time.monotonic()
                        told += item.token >= 0
                        self._add(message, item, tokenizer)
                        passed = time.monotonic() - first
                        message.stats |= {"tokens": told, "first": round(first - began, 2)}
                        message.stats["speed"] = round((told - 1) / passed, 1) if told > 1 and passed > 0 else None
            except asyncio.CancelledError:
                message.stats["finish"] = "stopped"
            except Exception as error:
                message.stats["finish"] = "failed"
                tell(self.visitor, error)
            await self._finished(message)

    def _add(self, message: Message, event: Event, tokenizer: Any) -> None:
        message.content += event.text
        if event.token >= 0 and not (event.finish == "stop" and tokenizer.is_special(event.token)):
            message.tokens.append(tokens.said(tokenizer, event))
        if event.finish:
            message.stats["finish"] = event.finish
        self._grow(message)

    def _grow(self, message: Message, status: str = "") -> None:
        if (bubble := self.bubbles.get(message.id)) is not None and not self.client.is_deleted:
            bubble.grow(status)

    async def _finished(self, message: Message) -> None:
        self.working.pop(message.id, None)
        bubble = self.bubbles.get(message.id)
        if bubble is not None and not self.client.is_deleted:
            bubble.is_live = False
            bubble.draw()
            self.composer.measure(self.talk.path())
            if not self.working:
                self.composer.work(False)
        await self._keep()

    async def _keep(self) -> None:
        with telling(self.visitor):
            await store.kept(self.visitor.server.state, self.visitor.owner, self.talk)
            if not self.client.is_deleted:
                await self.shelf.fill()

    def stop(self) -> None:
        """End what is being answered; what was said so far stays."""
        for task in list(self.working.values()):
            task.cancel()

    def leave(self) -> None:
        """Nobody looks any more: end what is being answered."""
        with suppress(RuntimeError):
            self.stop()

    def error(self, error: Exception) -> None:
        """Say what went wrong."""
        tell(self.visitor, error)

    @property
    def is_working(self) -> bool:
        """Something is being answered."""
        return bool(self.working)
