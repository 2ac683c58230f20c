"""Who is behind gets a quarter of the time while there is more to feed, and all of it after."""

from projections.engine.turns import Turns


class Work:
    """A clock that work moves on; `left` are pages to feed."""

    def __init__(self, left: int) -> None:
        self.now_s = 0.0
        self.left = left
        self.fed_s = 0.0
        self.caught_up_s = 0.0

    def feed(self) -> bool:
        if not self.left:
            return False
        self.left -= 1
        self.now_s += 1.0
        self.fed_s += 1.0
        return True

    def catch_up(self) -> bool:
        self.now_s += 2.0
        self.caught_up_s += 2.0
        return True


def test_catching_up_takes_a_quarter_of_the_time() -> None:
    """However long each page of it takes."""
    work = Work(left=300)
    turns = Turns(lambda: work.now_s)
    for _ in range(300):
        assert turns.take(work.feed, work.catch_up)
    assert 0.2 < work.caught_up_s / work.now_s < 0.3


def test_without_anything_to_feed_it_goes_on_at_once() -> None:
    """Also when it has had more than its share before."""
    work = Work(left=1)
    turns = Turns(lambda: work.now_s)
    for _ in range(5):
        assert turns.take(work.feed, work.catch_up)
    assert work.caught_up_s == 10.0


def test_nothing_to_do_is_said() -> None:
    """Then the projector waits."""
    assert not Turns().take(lambda: False, lambda: False)
