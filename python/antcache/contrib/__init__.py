"""Backends for the caches of frameworks: ``antcache.contrib.django``, ``antcache.contrib.flask_caching`` and
``antcache.contrib.aiocache``. Each needs its framework, and nothing here is imported otherwise.

What frameworks cache are Python objects, so values are pickled unless another serializer is given: whoever can write to the
server can run code in the programs that read from it.
"""
