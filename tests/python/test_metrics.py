"""The metrics listener as its users see it: Prometheus's own parser, and a browser."""

import base64
import contextlib
import json
import pathlib
import shutil
import subprocess
import threading
import time
import urllib.request

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

PATIENCE = 60


@pytest.fixture
def metrics(start):
    """A server with a metrics listener, a client of it, and the listener's address."""
    server = start("--workers", "4", "--metrics-addr", "127.0.0.1:0")
    client = redis.Redis(port=server.port)
    return client, "http://%s/" % client.info("server")["metrics_address"]


def test_prometheus_reads_it(metrics):
    client, address = metrics
    client.set("key", "value")
    client.get("key")
    text = urllib.request.urlopen(address + "metrics", timeout=PATIENCE).read().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["antcache_hits"].type == "counter"
    assert [sample.value for sample in families["antcache_hits"].samples] == [1]
    times = families["antcache_command_duration_seconds"]
    assert times.type == "histogram"
    buckets = [s for s in times.samples if s.name.endswith("_bucket") and s.labels["command"] == "get"]
    counts = [sample.value for sample in buckets]
    assert counts == sorted(counts) and counts[-1] == 1 and buckets[-1].labels["le"] == "+Inf"
    assert all(family.documentation for family in families.values())


class Browser:
    """A tab of a headless Chromium, driven by the DevTools protocol."""

    def __init__(self, program, profile):
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--window-size=1400,1080", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        listening = profile / "DevToolsActivePort"
        self.until(lambda: listening.exists() and "\n" in listening.read_text())
        port = listening.read_text().split("\n")[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE) as tabs:
            tab = next(tab for tab in json.load(tabs) if tab["type"] == "page")
        self.open = contextlib.ExitStack()
        self.socket = self.open.enter_context(connect(tab["webSocketDebuggerUrl"], max_size=None))
        self.asked = 0
        self.events = []

    @staticmethod
    def until(seen):
        end = time.monotonic() + PATIENCE
        while not (found := seen()):
            assert time.monotonic() < end, "it never came"
            time.sleep(0.1)
        return found

    def call(self, method, **params):
        self.asked += 1
        self.socket.send(json.dumps({"id": self.asked, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=PATIENCE))
            if message.get("id") == self.asked:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def ask(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def text(self, name):
        return self.ask(f"(document.getElementById({name!r}) || {{}}).textContent || ''")

    def close(self):
        self.open.close()
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)


@pytest.fixture
def browser(tmp_path):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium")
    browser = Browser(program, tmp_path)
    yield browser
    browser.close()


def load(client, stop):
    """Requests until told to stop: hits, misses, writes, and an error now and then."""
    number = 0
    while not stop.is_set():
        number += 1
        with client.pipeline(transaction=False) as pipeline:
            for at in range(200):
                pipeline.set(f"key:{(number * 200 + at) % 5000}", "x" * 200)
                pipeline.get(f"key:{at}")
                pipeline.get(f"nothing:{at}")
            pipeline.execute()


def test_the_page_draws_what_happens(metrics, browser, request):
    client, address = metrics
    stop = threading.Event()
    requests = threading.Thread(target=load, args=(client, stop))
    requests.start()
    try:
        browser.call("Log.enable")
        browser.call("Runtime.enable")
        browser.call("Page.navigate", url=address)
        browser.until(lambda: browser.text("state") == "live" and browser.text("throughput") not in ("", "–", "0"))
        browser.until(lambda: "%" in browser.text("hit-ratio"))
        browser.until(lambda: browser.text("p99").endswith(("ns", "µs", "ms", " s")))
        for name in ("memory", "resident", "connections", "workers", "received", "keys"):
            assert browser.text(name) not in ("", "–", "0"), name
        assert "GET" in browser.ask("document.querySelector('table').textContent")
        # Some of each chart is in the colour of its line.
        drawn = """[...document.querySelectorAll('canvas')].map(canvas => canvas.getContext('2d')
            .getImageData(0, 0, canvas.width, canvas.height).data.some(byte => byte > 0))"""
        assert all(browser.ask(drawn))
        picture = request.config.getoption("--picture")
        if picture:
            browser.until(lambda: browser.ask("drawn[0].shown[0].points.length") >= 20)
            shot = browser.call("Page.captureScreenshot", format="png")["data"]
            pathlib.Path(picture).write_bytes(base64.b64decode(shot))
        wrong = [event for event in browser.events
                 if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown") and "favicon" not in str(event)]
        assert not wrong, wrong
    finally:
        stop.set()
        requests.join()


def test_a_server_that_is_gone_shows(start, request, browser):
    server = start("--metrics-addr", "127.0.0.1:0")
    client = redis.Redis(port=server.port)
    browser.call("Page.navigate", url="http://%s/" % client.info("server")["metrics_address"])
    browser.until(lambda: browser.text("state") == "live")
    client.close()
    server.process.terminate()
    server.process.wait(timeout=PATIENCE)
    browser.until(lambda: browser.text("state").startswith("no figures"))
