"""What users donated."""

import numpy as np

from clients.donors import Donated


def test_windows_of_some_users_keep_their_labels_and_order():
    x = np.arange(5, dtype=np.float32).reshape(5, 1, 1)
    donated = Donated(x, np.array([4, 3, 2, 1, 0], np.int32), np.array([7, 1, 7, 2, 1], np.int32))
    some = donated.of(np.array([1, 7], np.int32))
    assert some.x[:, 0, 0].tolist() == [0.0, 1.0, 2.0, 4.0]
    assert some.labels.tolist() == [4, 3, 2, 0]
    assert some.users.tolist() == [7, 1, 7, 1]


def test_a_user_who_donated_nothing_has_no_windows():
    donated = Donated(np.zeros((1, 4, 3), np.float32), np.zeros(1, np.int32), np.ones(1, np.int32))
    assert donated.of(np.array([5], np.int32)).x.shape == (0, 4, 3)
