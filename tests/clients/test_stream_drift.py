"""Drift of the stream: another wearer, a new activity, other activities than before."""

import numpy as np
import pytest

from clients.drift import Change, Course
from clients.pool import build_pool
from clients.stream import Streams, cut_questions, deal_streams
from clients.stream_drift import (
    STREAM_DRIFTS,
    drifted_stream,
    examined_windows,
    guests_of,
)
from tests.clients.made_people import recording_of

SEED, LENGTH, DEVICES = 5, 10, 8
ACTIVITIES = ("walking", "sitting", "standing")
PEOPLE = ((120, 60, 90), (80, 0, 200), (70, 150, 40), (300, 90, 90))
"""Samples of each person's activities: streams of different lengths; the second never sits."""
COURSES = {
    "sudden": Course(0.4),
    "gradual": Course(0.3, over=0.4),
    "recurring": Course(0.2, period=0.4),
    "from the beginning": Course(0.0),
    "too late": Course(0.999),
}
NAMED = {"new-activity": [1], "label-shift": [1], "swap-user": []}


def pool_of(holdout=0.0):
    people = {}
    for number, sizes in enumerate(PEOPLE, start=1):
        people[str(number)] = [
            recording_of([size], user=str(number), activity=activity, samples=np.ones((size, 3)))
            for activity, size in zip(ACTIVITIES, sizes, strict=True)
            if size
        ]
    return build_pool(people, ACTIVITIES, length=LENGTH, hop=LENGTH, holdout=holdout)


def change_of(kind, course="sudden", *, share=0.8, classes=None):
    numbers = {"share": share} if kind == "label-shift" else {}
    choices = {"classes": NAMED[kind] if classes is None else classes}
    return Change(kind, COURSES[course], np.ones(DEVICES, np.bool_), numbers, choices)


class Dealt:
    """Eight devices of four people, two each, under a drift of the stream."""

    def __init__(self, change, order="bouts", befallen=None, devices=None):
        self.pool = pool_of()
        table = cut_questions(self.pool, order=order, bout_windows=2, batch=2)
        self.devices = np.arange(DEVICES) if devices is None else np.array(devices)
        self.users = self.devices % len(PEOPLE)
        self.befallen = np.ones(self.devices.size, np.bool_) if befallen is None else befallen
        self.plain = deal_streams(table, SEED, self.devices, self.users)
        shape = self.plain.questions.shape
        self.draws = np.random.default_rng(2).random((DEVICES, 100))[self.devices, : shape[1]]
        self.guests = guests_of(SEED, self.devices, self.users, np.arange(len(PEOPLE)))
        self.deal = drifted_stream(
            change, SEED, self.devices, self.plain, self.befallen, self.draws, self.guests, 10**6
        )
        self.on = change.course.in_force(self.plain.lengths(), self.draws, shape[1])
        self.on &= self.befallen[:, None]

    def before(self, row):
        """Return a stream as it is without drift."""
        return self.plain.questions[row, : self.plain.lengths()[row]].tolist()

    def after(self, row):
        """Return a stream as it is with it, and which of it is met in the drift."""
        length = self.deal.streams.lengths()[row]
        questions = self.deal.streams.questions[row]
        assert (questions[:length] >= 0).all()
        assert (questions[length:] == -1).all()
        return questions[:length].tolist(), self.deal.in_force[row, :length]

    def labels(self, questions):
        return self.plain.table.label[questions]


every_order = pytest.mark.parametrize("order", ["recorded", "bouts", "shuffled"])
every_course = pytest.mark.parametrize("course", COURSES)


@every_order
@every_course
@pytest.mark.parametrize("kind", STREAM_DRIFTS)
def test_no_question_is_met_twice_by_a_device(kind, course, order):
    dealt = Dealt(change_of(kind, course), order)
    for row in range(DEVICES):
        met, _ = dealt.after(row)
        assert len(met) == len(set(met)) > 0


@every_order
@pytest.mark.parametrize("kind", STREAM_DRIFTS)
def test_who_is_befallen_and_who_is_not_are_dealt_apart(kind, order):
    befallen = np.arange(DEVICES) % 3 == 0
    some, all_ = Dealt(change_of(kind), order, befallen), Dealt(change_of(kind), order)
    for row in np.flatnonzero(befallen):
        assert some.after(row)[0] == all_.after(row)[0]
        assert some.after(row)[1].any()
    for row in np.flatnonzero(~befallen):
        met, on = some.after(row)
        assert not on.any()
        usual = some.before(row)
        if kind == "new-activity":
            usual = [q for q in usual if some.labels(q) != 1]
        assert met == usual
    assert (some.deal.guests[~befallen] == -1).all()


@pytest.mark.parametrize("kind", STREAM_DRIFTS)
def test_devices_are_dealt_alike_together_and_alone(kind):
    together = Dealt(change_of(kind, "gradual"))
    for device in (1, 6):
        alone = Dealt(change_of(kind, "gradual"), devices=[device])
        assert alone.after(0)[0] == together.after(device)[0]
        assert alone.after(0)[1].tolist() == together.after(device)[1].tolist()


@pytest.mark.parametrize("kind", STREAM_DRIFTS)
def test_a_drift_that_never_comes_leaves_the_stream_in_its_order(kind):
    dealt = Dealt(change_of(kind, "too late"))
    for row in range(DEVICES):
        met, on = dealt.after(row)
        assert not on.any()
        kept = [q for q in dealt.before(row) if kind != "new-activity" or dealt.labels(q) != 1]
        assert met == kept


@pytest.mark.parametrize("kind", STREAM_DRIFTS)
def test_whether_a_drift_is_settled_needs_no_draws(kind):
    dealt = Dealt(change_of(kind, "gradual"))
    for row in range(DEVICES):
        settled = dealt.deal.settled[row, : dealt.deal.streams.lengths()[row]]
        assert (np.diff(settled.astype(int)) >= 0).all()  # never back again
        assert settled[-1]
        assert not settled[0]


@every_order
@every_course
def test_a_new_activity_is_never_met_before_its_drift_is_in_force(course, order):
    dealt = Dealt(change_of("new-activity", course), order)
    news = 0
    for row in range(DEVICES):
        met, on = dealt.after(row)
        new = dealt.labels(met) == 1
        assert on[new].all()
        news += int(new.sum())
        assert set(met) <= set(dealt.before(row))
    assert (news > 0) == (course != "too late")


@every_order
@pytest.mark.parametrize("course", ["sudden", "from the beginning"])
def test_a_new_activity_takes_nothing_from_a_stream_whose_others_last_so_long(course, order):
    dealt = Dealt(change_of("new-activity", course), order)
    for row in range(DEVICES):
        before = dealt.before(row)
        others = [q for q in before if dealt.labels(q) != 1]
        if len(others) < (~dealt.on[row, : len(before)]).sum():
            continue
        met, on = dealt.after(row)
        assert sorted(met) == sorted(before)
        assert [q for q, late in zip(met, on, strict=True) if not late] == others[: (~on).sum()]


def test_a_stream_is_shorter_where_the_other_activities_run_out_before_a_new_one_comes():
    # The third person sits more than half of the time.
    dealt = Dealt(change_of("new-activity", classes=[1], course="too late"))
    assert len(dealt.after(2)[0]) < len(dealt.before(2))


def test_a_wearer_who_never_does_what_is_new_keeps_all_questions():
    dealt = Dealt(change_of("new-activity"), "shuffled")
    met, on = dealt.after(1)
    assert sorted(met) == sorted(dealt.before(1))
    assert on.any()


def test_a_new_activity_is_mixed_among_the_others_where_bouts_are_shuffled():
    dealt = Dealt(change_of("new-activity", "from the beginning"), "shuffled")
    places = []
    for row in (0, 2, 4, 6):
        new = dealt.labels(dealt.after(row)[0]) == 1
        places += (np.flatnonzero(new) / (len(new) - 1)).tolist()
    assert 0.3 < np.mean(places) < 0.7
    assert min(places) < 0.2
    assert max(places) > 0.8


def test_questions_of_a_bout_stay_together_under_a_new_activity():
    change = change_of("new-activity", "from the beginning")
    pool = pool_of()
    table = cut_questions(pool, order="bouts", bout_windows=4, batch=2)
    devices = np.arange(4)
    plain = deal_streams(table, SEED, devices, devices)
    on = np.ones(4, np.bool_)
    deal = drifted_stream(
        change, SEED, devices, plain, on, np.zeros(plain.questions.shape), devices, 10**6
    )
    assert (deal.streams.questions != plain.questions).any()
    for first, count in table.bouts:
        row, place = np.nonzero(deal.streams.questions == first)
        assert row.size == 1
        own = deal.streams.questions[row[0], place[0] : place[0] + count]
        assert own.tolist() == list(range(first, first + count))


@every_order
@every_course
def test_a_shift_of_labels_keeps_all_questions(course, order):
    dealt = Dealt(change_of("label-shift", course), order)
    for row in range(DEVICES):
        met, on = dealt.after(row)
        assert sorted(met) == sorted(dealt.before(row))
        assert on.tolist() == dealt.on[row, : len(met)].tolist()


@every_order
@pytest.mark.parametrize("course", ["sudden", "gradual", "recurring"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.8, 0.99])
def test_a_shift_of_labels_reaches_its_share_as_far_as_there_are_questions(share, course, order):
    dealt = Dealt(change_of("label-shift", course, share=share), order)
    reached = 0
    for row in range(DEVICES):
        met, on = dealt.after(row)
        named = dealt.labels(met) == 1
        places, have = int(on.sum()), int(named.sum())
        found, wanted = int(named[on].sum()), round(share * places)
        if wanted > have:
            assert found == have
        elif places - wanted > len(met) - have:
            assert found == places - (len(met) - have)
        else:
            assert found == wanted
            reached += 1
    assert reached > 0 or share == 0.99


def test_both_parts_keep_their_order_under_a_shift_of_labels():
    dealt = Dealt(change_of("label-shift"))
    for row in range(DEVICES):
        met, on = dealt.after(row)
        place = {q: i for i, q in enumerate(dealt.before(row))}
        for part in (on, ~on):
            order = [place[q] for q, there in zip(met, part, strict=True) if there]
            assert order == sorted(order)


def by_hand(labels, at, share, classes=(1,)):
    """Deal questions of one device, named 0, 1, ..., under a shift of labels."""
    pool = pool_of()
    table = cut_questions(pool, order="recorded", bout_windows=1, batch=1)
    questions = [np.flatnonzero(table.label == label)[i] for i, label in enumerate(labels)]
    streams = Streams(table, np.array([questions], np.int32))
    change = Change("label-shift", Course(at), np.ones(1, np.bool_), {"share": share},
                    {"classes": list(classes)})  # fmt: skip
    one = np.zeros(1, np.int64)
    deal = drifted_stream(
        change, SEED, one, streams, np.ones(1, np.bool_), np.zeros((1, len(labels))), one, 10**6
    )
    names = {q: i for i, q in enumerate(questions)}
    return [names[q] for q in deal.streams.questions[0].tolist()]


def test_the_last_questions_of_the_stream_are_moved_to_the_time_of_the_shift():
    # Of 8 questions 4 are shifted; three quarters are 3: the last three of class 1 (0, 2, 5) and
    # the last one of the others (7).
    assert by_hand([1, 0, 1, 2, 0, 1, 2, 0], 0.5, 0.75) == [1, 3, 4, 6, 0, 2, 5, 7]
    # Of two activities, 0 and 2: six of them, of which the last three.
    assert by_hand([1, 0, 1, 2, 0, 1, 2, 0], 0.5, 0.75, (0, 2)) == [0, 1, 2, 3, 4, 5, 6, 7]
    # A share that is small moves what is named away: one of the four stays.
    assert by_hand([0, 0, 0, 0, 1, 1, 1, 1], 0.5, 0.25) == [0, 4, 5, 6, 1, 2, 3, 7]


def test_guests_are_other_wearers_and_each_of_them_may_come():
    wearers = np.array([2, 5, 6, 9])
    users = np.tile(wearers, 500)
    guests = guests_of(SEED, np.arange(2000), users, wearers)
    assert (guests != users).all()
    for user in wearers:
        others, counts = np.unique(guests[users == user], return_counts=True)
        assert others.tolist() == [w for w in wearers.tolist() if w != user]
        assert counts.min() > 120  # of 500, a third each


def test_of_two_wearers_each_is_the_others_guest():
    guests = guests_of(SEED, np.arange(6), np.array([3, 8, 3, 8, 3, 8]), np.array([3, 8]))
    assert guests.tolist() == [8, 3, 8, 3, 8, 3]


def test_a_guest_depends_on_the_device_and_the_seed_alone():
    wearers, devices, users = np.arange(20), np.arange(40), np.arange(40) % 20
    all_ = guests_of(SEED, devices, users, wearers)
    assert guests_of(SEED, devices[[31, 4]], users[[31, 4]], wearers).tolist() == [
        all_[31], all_[4],
    ]  # fmt: skip
    assert guests_of(SEED + 1, devices, users, wearers).tolist() != all_.tolist()


@every_order
@every_course
def test_a_swapped_device_meets_the_questions_of_whoever_wears_it(course, order):
    dealt = Dealt(change_of("swap-user", course), order)
    table = dealt.plain.table
    before = np.concatenate([[0], np.cumsum(table.of_user())])
    theirs = 0
    for row in range(DEVICES):
        met, on = dealt.after(row)
        whose = np.searchsorted(before, met, side="right") - 1
        expected = np.where(on, dealt.guests[row], dealt.users[row])
        np.testing.assert_array_equal(whose, expected)
        theirs += int(on.sum())
        own = dealt.before(row)
        assert [q for q, late in zip(met, on, strict=True) if not late] == own[: (~on).sum()]
    assert (theirs > 0) == (course != "too late")
    assert dealt.deal.guests.tolist() == dealt.guests.tolist()


def test_a_stream_ends_with_what_its_guest_has():
    dealt = Dealt(change_of("swap-user", "from the beginning"))
    had = dealt.plain.table.of_user()
    lengths = dealt.plain.lengths()
    shorter = 0
    for row in range(DEVICES):
        guest = int(had[dealt.guests[row]])
        assert len(dealt.after(row)[0]) == min(int(lengths[row]), guest)
        shorter += guest < lengths[row]
    assert shorter > 0


def test_one_guest_meets_bouts_in_another_order_on_each_device():
    dealt = Dealt(change_of("swap-user", "from the beginning"), "shuffled")
    by_guest = {}
    for row in range(DEVICES):
        by_guest.setdefault(int(dealt.guests[row]), []).append(dealt.after(row)[0])
    several = [orders for orders in by_guest.values() if len(orders) > 1]
    assert several
    for orders in several:
        shortest = min(map(len, orders))
        assert len({tuple(order[:shortest]) for order in orders}) == len(orders)


def examined(kind, *, in_force, user=0, guest=-1, **how):
    """Return the labels of what is scored, and the windows."""
    pool = pool_of(holdout=0.4)
    change = None if kind is None else change_of(kind, **how)
    windows = examined_windows(change, pool, user, guest, in_force=in_force)
    first, stop = pool.holdout[guest if guest >= 0 and in_force else user]
    assert ((windows >= first) & (windows < stop)).all()
    assert (np.diff(windows) > 0).all()
    return pool.windows.label[windows].tolist(), windows.tolist(), range(first, stop)


def test_without_a_drift_of_the_stream_all_of_the_holdout_is_scored():
    for in_force in (False, True):
        labels, windows, holdout = examined(None, in_force=in_force)
        assert windows == list(holdout)
        assert set(labels) == {0, 1, 2}


def test_a_new_activity_is_scored_when_it_has_come():
    before, _, _ = examined("new-activity", in_force=False)
    after, windows, holdout = examined("new-activity", in_force=True)
    assert windows == list(holdout)
    assert before == [label for label in after if label != 1]
    assert 1 in after


def test_a_shift_of_labels_is_scored_on_its_share():
    # The third person's holdout: 28, 60 and 16 samples are 2, 6 and 1 windows.
    usual, windows, holdout = examined("label-shift", in_force=False, user=2)
    assert windows == list(holdout)
    assert sorted(usual) == [0] * 2 + [1] * 6 + [2]
    for share, rest in ((0.75, 2), (0.99, 0), (0.86, 1), (0.3, 3)):
        labels, _, _ = examined("label-shift", in_force=True, user=2, share=share)
        assert labels.count(1) == 6  # none of the named is left out
        assert len(labels) - 6 == rest


def test_what_stays_of_the_others_is_spread_over_them():
    labels, windows, holdout = examined(
        "label-shift", in_force=True, user=3, share=0.5, classes=[1]
    )
    # 120, 36 and 36 samples are 12, 3 and 3 windows: three of the fifteen stay.
    assert labels.count(1) == 3
    rest = [w for w, label in zip(windows, labels, strict=True) if label != 1]
    assert len(rest) == 3
    assert rest[0] == holdout[0]
    assert rest[-1] == holdout[-1]


def test_a_swapped_device_is_scored_on_its_guest():
    _, own, holdout = examined("swap-user", in_force=False, user=0, guest=3)
    assert own == list(holdout)
    _, theirs, of_guest = examined("swap-user", in_force=True, user=0, guest=3)
    assert theirs == list(of_guest)
    assert set(theirs).isdisjoint(own)
    _, nobody, _ = examined("swap-user", in_force=True, user=0)
    assert nobody == own
