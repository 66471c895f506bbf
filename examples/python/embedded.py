"""The cache in the process, and functions that remember what they returned."""

import antcache

cache = antcache.Cache(max_memory=64 << 20, ttl=300)
cache["config"] = {"theme": "dark"}
print(cache["config"], "user" in cache)


@cache.memoize(ttl=60)
def render(page: str, lang: str = "en") -> str:
    print("rendering", page)
    return f"<h1 lang={lang}>{page}</h1>"


print(render("home"), render("home") == render("home"))

# The same in a server, shared by every process that asks it.
with antcache.Server() as server, antcache.Client(port=server.port) as client:

    @antcache.cached(client, ttl=60)
    def area(width: int, height: int) -> int:
        print("computing")
        return width * height

    print(area(3, 4), area(3, height=4))
