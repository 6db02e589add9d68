"""A chat that goes on whatever happens: answers, stops, a full window, taking back."""

import pytest

from cli.chat.faketalker import FakeTalker
from hanlin.cli.chat.talk import Talk, speed
from hanlin.core.errors import CapacityError, DataError, HanlinError, RefusedError
from hanlin.infer.sampling import Sampling
from hanlin.text.message import Message


def ask(talk: Talk, question: str) -> str:
    return "".join(event.text for event in talk.answer(question, talk.plan(question)))


def test_every_question_goes_with_the_whole_conversation_and_the_system_message() -> None:
    model = FakeTalker()
    talk = Talk(model, system="be brief")
    assert ask(talk, "hello") == "HELLO"
    assert ask(talk, "again") == "AGAIN"
    assert [message.content for message in model.asked[1]] == ["be brief", "hello", "HELLO", "again"]
    assert talk.used == len(model.tokenizer.chat(talk.all_messages()))
    assert (talk.answers, talk.tokens) == (2, 4)


def test_settings_reach_the_model_and_overflow_stays_here() -> None:
    model = FakeTalker()
    talk = Talk(model, sampling=Sampling(temperature=0.5, top_k=7, stop=("x",), overflow="slide"))
    ask(talk, "hello")
    assert model.given[0]["temperature"] == 0.5
    assert model.given[0]["top_k"] == 7
    assert model.given[0]["stop"] == ("x",)
    assert "overflow" not in model.given[0]


def test_an_answer_may_take_what_room_the_window_leaves_and_no_more() -> None:
    model = FakeTalker(context=40)
    talk = Talk(model)
    ask(talk, "hello")
    assert model.given[0]["max_tokens"] == 40 - 6


def test_what_was_said_before_a_stop_is_kept() -> None:
    talk = Talk(FakeTalker())
    events = talk.answer("a long question", talk.plan("a long question"))
    said = next(events).text + next(events).text
    events.close()
    assert talk.messages == [Message(role="user", content="a long question"), Message(role="assistant", content=said)]


def test_a_question_stopped_before_the_first_word_is_taken_back() -> None:
    talk = Talk(FakeTalker(interrupt_after=0))
    with pytest.raises(KeyboardInterrupt):
        ask(talk, "hello")
    assert talk.messages == []


def test_a_full_window_is_an_error_that_leaves_the_conversation_as_it_was() -> None:
    talk = Talk(FakeTalker(context=100))
    while talk.used < 60:
        ask(talk, "twenty characters...")
    before = list(talk.messages)
    with pytest.raises(CapacityError, match="window of 100") as caught:
        for _ in range(10):
            talk.plan("x" * 200)
    assert "/reset" in caught.value.fix
    assert "overflow=slide" in caught.value.fix
    assert talk.messages == before


def test_sliding_forgets_whole_turns_from_the_oldest_and_keeps_the_system_message() -> None:
    model = FakeTalker(context=100)
    talk = Talk(model, system="be brief", sampling=Sampling(overflow="slide", max_tokens=30))
    forgotten = 0
    for number in range(12):
        plan = talk.plan(f"question number {number:04}")
        forgotten = max(forgotten, plan.forgotten)
        assert plan.messages[0].role == "system"
        assert plan.messages[1].role == "user"
        assert plan.tokens + plan.most <= 100
        list(talk.answer(f"question number {number:04}", plan))
    assert forgotten > 0
    assert len(talk.messages) == 24  # still there to be saved


def test_a_question_larger_than_the_window_is_refused_even_when_sliding() -> None:
    talk = Talk(FakeTalker(context=100), sampling=Sampling(overflow="slide"))
    ask(talk, "hello")
    with pytest.raises(CapacityError, match="shorter"):
        try:
            talk.plan("x" * 1000)
        except HanlinError as error:
            raise type(error)(error.fix) from None


@pytest.mark.parametrize("question", ["", "  \n", "half \udce4"])
def test_a_question_that_says_nothing_is_an_error(question: str) -> None:
    with pytest.raises(DataError):
        Talk(FakeTalker()).plan(question)


def test_undo_takes_the_last_question_and_all_that_followed() -> None:
    talk = Talk(FakeTalker())
    ask(talk, "one")
    ask(talk, "two")
    assert talk.undo() == "two"
    assert [message.content for message in talk.messages] == ["one", "ONE"]
    talk.undo()
    assert talk.used == 0
    with pytest.raises(RefusedError):
        talk.undo()


def test_speed_leaves_the_first_token_out_for_its_time_is_that_of_reading() -> None:
    assert speed(tokens=11, seconds=3.0, waited=1.0) == 5.0
    assert speed(tokens=22, seconds=6.0, waited=2.0, answers=2) == 5.0
    assert speed(tokens=1, seconds=1.0, waited=1.0) == 0.0
