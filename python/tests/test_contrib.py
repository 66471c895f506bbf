"""The backends for frameworks, by those frameworks' own tests where their source packages can be had from the index."""

import asyncio
import pathlib
import subprocess
import sys
import tarfile

import antcache
import pytest

django = pytest.importorskip("django")
pytest.importorskip("flask_caching")
pytest.importorskip("aiocache")


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """Unpacks the source package of an installed version."""

    def unpack(name, version):
        directory = tmp_path_factory.mktemp(name)
        words = ["--no-deps", "--no-binary", ":all:", "--dest", directory]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, *words, f"{name}=={version}"], capture_output=True, text=True, timeout=300)
        packages = list(pathlib.Path(directory).glob("*.tar.gz"))
        if not packages:
            pytest.skip(f"the source package of {name} cannot be had: {done.stderr.strip()[-200:]}")
        with tarfile.open(packages[0]) as archive:
            archive.extractall(directory, filter="data")
        return next(path for path in directory.iterdir() if path.is_dir())

    return unpack


def run_pytest(directory, file, *words):
    """Runs tests in an interpreter of their own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:antcache", "--rootdir", directory, file]
    done = subprocess.run([*command, *words], cwd=directory, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    return done.stdout


DJANGO = '''
import os, sys
sys.path.insert(0, {tests!r})
sys.path.insert(0, {package!r})
from django.conf import settings
settings.configure(
    CACHES={{"default": {{"BACKEND": "antcache.contrib.django.AntCache", "LOCATION": {location!r}}}}},
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
    INSTALLED_APPS=["django.contrib.contenttypes", "cache"], SECRET_KEY="x", USE_TZ=False, ROOT_URLCONF="", ALLOWED_HOSTS=["*"],
)
import django
django.setup()
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
from django.core.cache import cache, caches
from django.test import TestCase, override_settings
import cache.tests as theirs

@override_settings(CACHES=theirs.caches_setting_for_tests(BACKEND="antcache.contrib.django.AntCache", LOCATION={location!r}))
class AntCacheTests(theirs.BaseCacheTests, TestCase):
    # As with the other backends for servers, the error is the client's own.
    @property
    def incr_decr_type_error(self):
        from antcache.errors import ResponseError
        return ResponseError

    def _perform_cull_test(self, *args):
        self.skipTest("the server evicts by memory, not by MAX_ENTRIES")

    def test_cull_delete_when_store_empty(self):
        self._perform_cull_test()

    def test_the_backend_is_ours(self):
        self.assertEqual(type(caches["default"]).__module__, "antcache.contrib.django")
'''


def test_django(sources, tmp_path):
    """Every test that Django has for all of its backends, on one server and on two."""
    import django

    source = sources("django", django.get_version())
    with antcache.Server() as first, antcache.Server() as second:
        for servers, words in ([first], []), ([first, second], ["-k", "many or incr or touch or add or clear"]):
            location = [f"127.0.0.1:{server.port}" for server in servers]
            file = tmp_path / f"test_backend_{len(servers)}.py"
            file.write_text(DJANGO.format(tests=str(source / "tests"), package=str(source), location=location))
            run_pytest(tmp_path, file, *words)


FLASK = '''
import sys
sys.path.insert(0, {tests!r})
import pytest
from antcache.contrib.flask_caching import AntCache
from test_backend_cache import GenericCacheTests as Theirs

class TestAntCache(Theirs):
    _can_use_fast_sleep = False

    @pytest.fixture
    def clock(self):
        return None

    @pytest.fixture
    def make_cache(self):
        def make(*args, **kwargs):
            return AntCache([{node!r}], *args, **kwargs)
        make().clear()
        return make

del Theirs
'''


def test_flask_caching_s_own_tests(sources, tmp_path):
    import importlib.metadata

    source = sources("flask-caching", importlib.metadata.version("flask-caching"))
    with antcache.Server() as server:
        file = tmp_path / "test_backend.py"
        file.write_text(FLASK.format(tests=str(source / "tests"), node=f"127.0.0.1:{server.port}"))
        run_pytest(tmp_path, file)


AIOCACHE = '''
import asyncio, inspect, sys
sys.path.insert(0, {source!r})
import pytest
from antcache.contrib.aiocache import AntCache
from tests.acceptance.test_base import TestCache as Theirs

class TestAntCache(Theirs):
    @pytest.fixture
    def cache(self):
        cache = AntCache(port={port}, namespace="test")
        asyncio.run(cache._clear())
        return cache

del Theirs
'''

#: Runs tests that are coroutines.
AIOCACHE_CONFTEST = '''
import asyncio, inspect
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        names = pyfuncitem._fixtureinfo.argnames
        asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
        return True
'''


def test_aiocache_s_own_tests(sources, tmp_path):
    import importlib.metadata

    source = sources("aiocache", importlib.metadata.version("aiocache"))
    with antcache.Server() as server:
        (tmp_path / "conftest.py").write_text(AIOCACHE_CONFTEST)
        file = tmp_path / "test_backend.py"
        file.write_text(AIOCACHE.format(source=str(source), port=server.port))
        run_pytest(tmp_path, file)


def test_flask_caching(one):
    from flask import Flask
    from flask_caching import Cache

    with antcache.Client(port=one.port) as outside:
        outside.flush_all()
    app = Flask("tests")
    app.config["CACHE_TYPE"] = "antcache.contrib.flask_caching.AntCache"
    app.config["CACHE_ANTCACHE_NODES"] = [f"127.0.0.1:{one.port}"]
    app.config["CACHE_KEY_PREFIX"] = "flask:"
    cache = Cache(app)
    calls = []

    @cache.memoize(100)
    def double(number):
        calls.append(number)
        return {"double": 2 * number}

    @app.route("/")
    @cache.cached(timeout=50)
    def page():
        calls.append("page")
        return "page"

    with app.app_context():
        assert double(4) == double(4) == {"double": 8} and calls == [4]
        cache.delete_memoized(double)
        assert double(4) == {"double": 8} and calls == [4, 4]
        assert cache.set("a", 1) and cache.add("a", 2) is False and cache.get("a") == 1
        assert cache.set_many({"b": [1, None], "c": "x"}) == ["b", "c"]
        assert cache.get_many("a", "b", "none") == [1, [1, None], None]
        assert cache.get_dict("b", "c") == {"b": [1, None], "c": "x"}
        assert cache.cache.inc("a", 5) == 6 and cache.cache.dec("a") == 5 and cache.get("a") == 5
        assert cache.has("c") and cache.delete("c") and not cache.has("c")
        assert cache.delete_many("a", "b", "none") == ["a", "b"]
        client = app.test_client()
        assert client.get("/").text == client.get("/").text == "page" and calls.count("page") == 1
        with antcache.Client(port=one.port) as outside:
            outside.set("other", 1)
            assert cache.clear() and outside.keys() == [b"other"]
        assert double(4) == {"double": 8} and calls.count(4) == 3


def test_aiocache(one):
    from aiocache import cached
    from aiocache.serializers import PickleSerializer

    from antcache.contrib.aiocache import AntCache

    async def main():
        cache = AntCache(port=one.port, namespace="aio")
        await cache.clear()
        assert await cache.get("a") is None and await cache.get("a", default=1) == 1
        assert await cache.set("a", {"x": [1]}) is True and await cache.get("a") == {"x": [1]}
        assert await cache.add("b", 1, ttl=50) is True
        with pytest.raises(ValueError, match="already exists"):
            await cache.add("b", 2)
        assert await cache.multi_set([("c", 1), ("d", "two")], ttl=10.5) is True
        assert await cache.multi_get(["c", "none", "d"]) == [1, None, "two"]
        assert await cache.exists("c") is True and await cache.exists("none") is False
        assert await cache.increment("n", 5) == 5 and await cache.increment("n", -1) == 4
        with pytest.raises(TypeError, match="not an integer"):
            await cache.increment("d")
        assert await cache.expire("a", 100) is True and await cache.expire("none", 1) is False
        assert await cache.expire("a", 0) is True
        assert await cache.delete("a") == 1 and await cache.delete("a") == 0
        assert await cache.raw("STRLEN", "aio:c") == 1
        other = AntCache(port=one.port, serializer=PickleSerializer(), namespace="other")
        await other.set("t", (1, 2))
        assert await other.get("t") == (1, 2)
        assert await cache.clear(namespace="aio") and await cache.get("c") is None and await other.exists("t")
        calls = []

        @cached(ttl=10, cache=AntCache, port=one.port, key="the key", serializer=PickleSerializer())
        async def slow():
            calls.append(1)
            return (1, 2)

        assert await slow() == await slow() == (1, 2) and len(calls) == 1
        await cache.close()
        await other.close()
        await slow.cache.close()
        spread = AntCache(nodes=[f"127.0.0.1:{one.port}"])
        assert await spread.set("s", 1) and await spread.get("s") == 1
        await spread.close()

    asyncio.run(main())
