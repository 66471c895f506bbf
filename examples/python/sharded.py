"""One client of three servers; one of them dies, and its keys are the others' until it is back."""

import antcache

servers = [antcache.Server() for _ in range(3)]
nodes = [antcache.Node(port=server.port, name=name) for server, name in zip(servers, ("anna", "berta", "clara"), strict=True)]

with antcache.ShardedClient(nodes, hash="murmur", on_node_down="rehash", failures=1, decode=True) as client:
    client.set_many({f"user:{number}": f"name {number}" for number in range(1000)})
    print({node.name: node.answered > 0 for node in client.stats()})

    servers[1].stop()
    client.set("user:7", "still there")
    print(client.get("user:7"), len(client.get_many([f"user:{number}" for number in range(1000)])) < 1000)
    print([node.name for node in client.stats() if node.down])

for server in servers:
    server.stop()
