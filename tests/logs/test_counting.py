"""Counters stay small, and say no more than they know."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from keepalign.logs.counting import BINS, WORDS, Frequent, Histogram


@given(st.lists(st.sampled_from("abcdefgh")))
def test_few_words_are_counted_exactly(words: list[str]) -> None:
    counter = Frequent()
    for word in words:
        counter.add(word)
    expected = sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0]))
    assert list(counter.top(20)) == expected
    assert counter.lost == 0


def test_frequent_words_survive_a_flood_of_others() -> None:
    counter = Frequent()
    total = 0
    for n in range(50_000):
        counter.add(f"once {n}")
        total += 1
        if n % 50 == 0:
            counter.add("often")
            total += 1
    assert len(counter.counts) <= 2 * WORDS
    (top,) = counter.top(1)
    assert top.word == "often"
    assert 1000 - counter.lost <= top.errors <= 1000
    # The guarantee of Misra and Gries.
    assert counter.lost <= total / WORDS


@given(st.lists(st.tuples(st.integers(0, 2_000_000_000), st.integers(1, 9)), max_size=60))
def test_histogram_holds_every_number(added: list[tuple[int, int]]) -> None:
    histogram = Histogram()
    for minute, number in added:
        histogram.add(minute, number)
    assert histogram.minutes.total == sum(number for _, number in added)
    assert list(histogram.minutes.bins) == sorted(histogram.minutes.bins)


def test_long_histogram_gets_wider_bins_whatever_the_order() -> None:
    forth, back = Histogram(), Histogram()
    many = 3 * BINS
    for minute in range(many):
        forth.add(minute)
        back.add(many - 1 - minute)
    assert forth.minutes == back.minutes
    assert forth.minutes.width == 5
    assert len(forth.minutes.bins) == many // 5
    assert {one.number for one in forth.minutes.bins} == {5}
