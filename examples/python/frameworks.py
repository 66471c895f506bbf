"""The caches of Django, Flask-Caching and aiocache on one server. Each is three lines of settings."""

import asyncio

import antcache

with antcache.Server() as server:
    node = f"127.0.0.1:{server.port}"

    # Django
    from django.conf import settings

    settings.configure(CACHES={"default": {"BACKEND": "antcache.contrib.django.AntCache", "LOCATION": node}})
    from django.core.cache import cache

    cache.set("user", {"name": "Ada"}, timeout=60)
    print(cache.get("user"))

    # Flask-Caching
    from flask import Flask
    from flask_caching import Cache

    app = Flask("example")
    app.config.update(CACHE_TYPE="antcache.contrib.flask_caching.AntCache", CACHE_ANTCACHE_NODES=[node])
    flask_cache = Cache(app)

    @flask_cache.memoize(60)
    def double(number: int) -> int:
        print("computing")
        return 2 * number

    with app.app_context():
        print(double(21), double(21))

    # aiocache
    from aiocache import cached

    from antcache.contrib.aiocache import AntCache

    @cached(ttl=60, cache=AntCache, port=server.port, key="slow")
    async def slow() -> list[int]:
        print("computing")
        return [1, 2]

    async def main() -> None:
        print(await slow(), await slow())
        await slow.cache.close()

    asyncio.run(main())
