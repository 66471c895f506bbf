"""The blocking client: values of three types, times to live, pipelines. Expects a server; PORT says where."""

import os
from datetime import timedelta

import antcache

with antcache.Client(port=int(os.environ.get("PORT", "8890")), namespace="example:", decode=True) as client:
    client.set("greeting", "hello", ttl=timedelta(minutes=1))
    client.set("colours", ["red", "green"])
    client.set("ant", {"legs": 6, "wings": 0})
    print(client.get("greeting"), client.get("colours"), client.get("ant"))

    client.set_many({f"user:{number}": f"name {number}" for number in range(3)}, ttl=60)
    print(client.get_many(["user:1", "user:2", "user:9"]))

    with client.pipeline() as pipe:
        pipe.incr("visits").incr("visits", 41).ttl("greeting")
    first, second, ttl = pipe.results
    print(first, second, 59 < ttl <= 60)

    try:
        client.incr("greeting")
    except antcache.errors.ResponseError as error:
        print(type(error).__name__, error.command)
    client.delete_many(list(client.scan_iter()))
