"""An interrupt is one, whatever a library makes of it."""

import os
import signal
import time

import pytest

from simulator.process.interrupts import unhidden_interrupts


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5.0)  # the interrupt ends it


def test_an_interrupt_that_a_library_turns_into_an_error_is_an_interrupt():
    def library():
        try:
            interrupt()
        except KeyboardInterrupt as error:
            raise TypeError("was the context initialized?") from error

    with pytest.raises(KeyboardInterrupt), unhidden_interrupts():
        library()


def test_a_plain_interrupt_and_a_plain_error_stay_what_they_are():
    with pytest.raises(KeyboardInterrupt), unhidden_interrupts():
        interrupt()
    with pytest.raises(TypeError, match="plain"), unhidden_interrupts():
        raise TypeError("plain")


def test_interrupts_are_handled_as_before_afterwards():
    with unhidden_interrupts():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
