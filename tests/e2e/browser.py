"""A real headless Chromium, driven by Selenium, that shows a page and tells what it made of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
CONTRAST = """
const linear = value => value / 255 <= .03928 ? value / 255 / 12.92 : ((value / 255 + .055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
const numbers = text => text.match(/[\\d.]+/g).slice(0, 4).map(Number);
const paper = element => {
  for (; element; element = element.parentElement) {
    const color = numbers(getComputedStyle(element).backgroundColor);
    if (color[3] !== 0) return color;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll(arguments[0])].map(element => {
  const ink = luminance(numbers(getComputedStyle(element).color)), ground = luminance(paper(element));
  return (Math.max(ink, ground) + .05) / (Math.min(ink, ground) + .05);
});
"""
"""Ratios of contrast as WCAG 2.2 defines them (1.4.3), for the elements of a selector."""


class Browser:
    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def show(self, path: Path, scheme: str = "light", width: int = 1280) -> None:
        """Open a file as an operator with that colour scheme and window would."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(path.as_uri())

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def contrast(self, selector: str) -> list[float]:
        return list(self.ask(CONTRAST, selector))

    def complaints(self) -> list[str]:
        """What the console says, a request that failed too."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """All that the page asked for besides itself."""
        return list(self.ask("return performance.getEntriesByType('resource').map(entry => entry.name)"))


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
