"""One thread calls back at many times, in their order, unless told not to."""

import threading
import time

from consentryd.analytics.alarm import Alarm


def test_calls_are_made_in_the_order_of_their_times():
    alarm, called, done = Alarm(), [], threading.Event()
    alarm.set(0.2, lambda: (called.append("late"), done.set()))
    alarm.set(0.05, lambda: called.append("early"))
    alarm.set(60, lambda: called.append("never"))
    assert done.wait(10)
    assert called == ["early", "late"]


def test_what_was_cleared_is_not_called():
    alarm, called, done = Alarm(), [], threading.Event()
    numbers = [alarm.set(0.05, lambda number=number: called.append(number)) for number in range(20)]
    for number in numbers[::2]:
        alarm.clear(number)
    alarm.set(0.1, done.set)
    assert done.wait(10)
    assert called == list(range(1, 20, 2))
    alarm.clear(numbers[1])  # long made


def test_a_call_under_way_is_waited_for():
    alarm, began, ended = Alarm(), threading.Event(), []
    number = alarm.set(0, lambda: (began.set(), time.sleep(0.1), ended.append(True)))
    assert began.wait(10)
    alarm.clear(number)
    assert ended == [True]


def test_all_of_them_take_one_thread():
    alarm, before = Alarm(), threading.active_count()
    for _ in range(50):
        alarm.set(60, lambda: None)
    assert threading.active_count() == before + 1
