import signal
from unittest import mock

from django.channels import shutdown
from django.test import SimpleTestCase


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
