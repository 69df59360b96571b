"""A real browser for tests: headless Chromium, driven by selenium."""

import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from unittest import SkipTest

from .processes import PATIENCE_SECONDS

BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
DRIVER = "chromedriver"

# A host name of nobody, which the browser takes for this machine.
FOREIGN_HOST = "foreign.test"

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    # It connects to the server under test, and to nothing else.
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {FOREIGN_HOST} 127.0.0.1",
    # A window behind another one is as quick as that.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]

# Where screenshots go, for somebody to look at. Without it, none are taken.
SCREENSHOTS_VARIABLE = "CHANNELS_SCREENSHOTS"


def find_browser():
    """
    Return the paths of browser and driver.

    Without one of them raise SkipTest, or AssertionError where CI is set.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which(DRIVER)
    missing = [
        name
        for name, found in (
            ("selenium", find_spec("selenium")),
            (" or ".join(BROWSERS), browser),
            (DRIVER, driver),
        )
        if not found
    ]
    if missing:
        reason = f"Not installed: {', '.join(missing)}."
        if os.environ.get("CI", "").lower() in ("1", "true"):
            raise AssertionError(reason)
        raise SkipTest(reason)
    return browser, driver


TEXTS = """
const elements = document.querySelectorAll(arguments[0]);
return [...elements].map((element) => element.innerText);
"""


class Browser:
    """A browser with a profile of its own, until close()."""

    def __init__(self):
        from selenium import webdriver

        browser, driver = find_browser()
        self._profile = tempfile.mkdtemp()
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in [*FLAGS, f"--user-data-dir={self._profile}"]:
            options.add_argument(flag)
        service = webdriver.ChromeService(driver)
        try:
            self.driver = webdriver.Chrome(options=options, service=service)
        except BaseException:
            shutil.rmtree(self._profile)
            raise

    def close(self):
        """End the browser and forget its profile."""
        self.driver.quit()
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, url):
        """Return a Window that has loaded a page."""
        return Window(self.driver, url)


class Window:
    """One window of a browser, and what a user sees and does in it."""

    def __init__(self, driver, url):
        driver.switch_to.new_window("window")
        self._driver = driver
        self._handle = driver.current_window_handle
        driver.get(url)

    @property
    def driver(self):
        """The driver, turned to this window."""
        self._driver.switch_to.window(self._handle)
        return self._driver

    def close(self):
        """Close the window, not the browser."""
        self.driver.close()
        self._driver.switch_to.window(self._driver.window_handles[0])

    def find(self, selector):
        """Return the first element for a CSS selector."""
        return self.driver.find_element("css selector", selector)

    def texts(self, selector):
        """Return the text of each element for a CSS selector, all at one time."""
        return self.driver.execute_script(TEXTS, selector)

    def type(self, selector, text):
        """Replace the text of a field."""
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def wait_for_texts(self, selector, texts):
        """Wait until texts() returns these."""
        self.wait_for(lambda: self.texts(selector) == texts)

    def wait_for(self, condition):
        """Wait until ``condition()`` is true, and raise AssertionError if not."""
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.support.wait import WebDriverWait

        wait = WebDriverWait(self.driver, PATIENCE_SECONDS, poll_frequency=0.05)
        try:
            wait.until(lambda driver: condition())
        except TimeoutException as error:
            url, shown = self.driver.current_url, self.texts("body")
            raise AssertionError(f"{url} goes on showing {shown}.") from error

    def resize(self, width, height, dark=False):
        """Give the page the size, in pixels, and colors of another device."""
        metrics = {"width": width, "height": height}
        metrics |= {"deviceScaleFactor": 1, "mobile": width < 500}
        command = self.driver.execute_cdp_cmd
        command("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        command("Emulation.setEmulatedMedia", {"features": [scheme]})

    def screenshot(self, name):
        """Keep a picture of the page, if the environment says where."""
        if directory := os.environ.get(SCREENSHOTS_VARIABLE):
            Path(directory).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(directory) / f"{name}.png"))


class WithBrowser:
    """For a test case: each class has a browser."""

    @classmethod
    def setUpClass(cls):
        find_browser()
        super().setUpClass()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
