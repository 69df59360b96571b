import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest import mock, skipUnless

from django.channels import shutdown
from django.test import SimpleTestCase


class Interruption(Exception):
    pass


def interrupt(signum, frame):
    raise Interruption("A signal came.")


def interrupt_thread():
    """Send this thread a signal."""
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)


@skipUnless(hasattr(signal, "pthread_kill"), "Only POSIX signals threads.")
class SignalTests(SimpleTestCase):
    def test_signal_for_another_thread(self):
        """A signal that another thread gets interrupts the main one's wait."""
        previous = signal.signal(signal.SIGUSR1, interrupt)
        self.addCleanup(signal.signal, signal.SIGUSR1, previous)
        thread = threading.Timer(0.05, interrupt_thread)
        with self.assertRaisesMessage(Interruption, "A signal came."):
            with shutdown.signals_noticed():
                thread.start()
                threading.Event().wait(30)
        thread.join()

    def test_restored(self):
        """What signals wake, and who handles them, is as before afterwards."""
        handler = signal.getsignal(shutdown.NUDGE)
        with shutdown.signals_noticed():
            self.assertIsNot(signal.getsignal(shutdown.NUDGE), handler)
        self.assertIs(signal.getsignal(shutdown.NUDGE), handler)
        self.assertEqual(signal.set_wakeup_fd(-1), -1)

    def test_other_threads(self):
        """On another thread, which gets no signals, nothing is changed."""
        handler = signal.getsignal(shutdown.NUDGE)
        with ThreadPoolExecutor(1) as executor:
            self.assertIs(executor.submit(self._handler_within).result(), handler)

    def _handler_within(self):
        with shutdown.signals_noticed():
            return signal.getsignal(shutdown.NUDGE)


class OrderlyTests(SimpleTestCase):
    def setUp(self):
        patcher = mock.patch.object(shutdown, "_limit_exit")
        self.limit_exit = patcher.start()
        self.addCleanup(patcher.stop)

    def test_shut_down(self):
        """Servers are shut down once, with Ctrl-C ignored meanwhile."""
        handlers = []
        server = mock.Mock()
        server.shut_down.side_effect = lambda: handlers.append(
            signal.getsignal(signal.SIGINT)
        )
        before = signal.getsignal(signal.SIGINT)
        with shutdown.orderly():
            shutdown.register(server)
        with shutdown.orderly():
            pass
        self.assertEqual(handlers, [signal.SIG_IGN])
        self.assertIs(signal.getsignal(signal.SIGINT), before)

    def test_codes(self):
        """The process ends with the code that the exception stands for."""
        codes = {
            None: 0,
            KeyboardInterrupt(): 0,
            SystemExit(): 0,
            SystemExit(3): 3,
            SystemExit("The end."): 1,
            ValueError(): 1,
        }
        for exception, code in codes.items():
            with self.subTest(exception=exception):
                try:
                    with shutdown.orderly():
                        shutdown.register(mock.Mock())
                        if exception is not None:
                            raise exception
                except BaseException as error:
                    self.assertIs(error, exception)
                self.limit_exit.assert_called_once_with(code)
                self.limit_exit.reset_mock()

    def test_nothing_served(self):
        """If nothing was served, the end of the process is upstream's."""
        with shutdown.orderly():
            pass
        self.limit_exit.assert_not_called()
