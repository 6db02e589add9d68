"""Stop texts cut exactly, wherever the pieces of the answer end."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hanlin.infer.stop import StopWatch
from infer.plain import cut

WORDS = st.text("ab\n。", min_size=1, max_size=4)


@given(st.lists(st.text("ab\n。", max_size=5), max_size=12), st.lists(WORDS, max_size=3))
@settings(max_examples=1000, deadline=None)
@example(["a", "b", "c"], ["abc", "b"])
def test_the_cut_does_not_depend_on_how_the_text_was_divided(pieces: list[str], stops: list[str]) -> None:
    watch = StopWatch(stops)
    shown = ""
    for piece in pieces:
        shown += watch.push(piece)
        assert cut("".join(pieces), stops).startswith(shown), "something was shown that had to be held back"
    shown += watch.finish()
    assert shown == cut("".join(pieces), stops)
    assert watch.is_stopped == any(stop in "".join(pieces) for stop in stops)


def test_text_that_can_be_no_stop_is_shown_at_once() -> None:
    watch = StopWatch(["\nUser:"])
    assert watch.push("Hello") == "Hello"
    assert watch.push("\nUs") == ""
    assert watch.push("e it") == "\nUse it"
