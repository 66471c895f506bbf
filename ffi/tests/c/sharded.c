/* Many servers behind one client, one of which goes away. */
#include "check.h"

#define NODES 3

static antcache_status command(antcache_sharded *nodes, const char *name, const char *key, const char *value,
                               antcache_error *error) {
    const void *words[3];
    antcache_reply *reply;
    antcache_status status;
    words[0] = name, words[1] = key, words[2] = value;
    status = antcache_sharded_command(nodes, value == NULL ? 2 : 3, words, NULL, &reply, error);
    if (status == ANTCACHE_OK) {
        OK(antcache_reply_free(reply));
    }
    return status;
}

int main(void) {
    const char *settings[] = {"port", "0", "workers", "1"};
    antcache_server *servers[NODES];
    antcache_sharded_options options;
    antcache_pool_options pool;
    antcache_client_options client;
    antcache_sharded *nodes;
    antcache_error error;
    char name[32], address[32], key[32], again[256];
    uint16_t port;
    int i, on[NODES] = {0, 0, 0};

    OK(antcache_client_options_init(&client, sizeof client));
    client.connect_timeout_ms = 2000;
    OK(antcache_pool_options_init(&pool, sizeof pool));
    pool.client = &client;
    pool.connections = 2;
    OK(antcache_sharded_options_init(&options, sizeof options));
    options.pool = &pool;
    options.hash = "murmur"; /* the default spreads keys that differ in their last letters only badly */
    options.failures = 2;
    options.first_retry_ms = 1000000;
    options.last_retry_ms = 1000000;
    OK(antcache_sharded_new(&options, &nodes, &error));
    IS(ANTCACHE_NODE_DOWN, command(nodes, "GET", "k", NULL, &error));
    IS(ANTCACHE_NOT_FOUND, antcache_sharded_node_of(nodes, B("k"), again, sizeof again));
    for (i = 0; i < NODES; i++) {
        OK(antcache_server_start(settings, 4, &servers[i], NULL));
        OK(antcache_server_port(servers[i], &port));
        snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
        snprintf(name, sizeof name, "node-%d", i);
        OK(antcache_sharded_add(nodes, name, address, 1, &error));
        IS(ANTCACHE_BAD_SETTINGS, antcache_sharded_add(nodes, name, address, 1, &error));
    }
    IS(ANTCACHE_BAD_SETTINGS, antcache_sharded_add(nodes, "zero", address, 0, NULL));
    IS(ANTCACHE_BAD_SETTINGS, antcache_sharded_add(nodes, "none", "host:x", 1, NULL));
    for (i = 0; i < 300; i++) {
        int n = snprintf(key, sizeof key, "key %d", i);
        OK(command(nodes, "SET", key, key, &error));
        OK(antcache_sharded_node_of(nodes, key, (size_t)n, again, sizeof again));
        on[again[5] - '0']++;
        IS(ANTCACHE_NO_ROOM, antcache_sharded_node_of(nodes, key, (size_t)n, again, 6));
    }
    HOLDS(on[0] > 30 && on[1] > 30 && on[2] > 30);
    IS(ANTCACHE_INVALID, command(nodes, "PING", "k", NULL, &error));

    /* A node that has gone is named; after two failures it is left alone. */
    do {
        snprintf(key, sizeof key, "key %d", --i);
        OK(antcache_sharded_node_of(nodes, key, strlen(key), again, sizeof again));
    } while (again[5] != '1');
    OK(antcache_server_free(servers[1]));
    for (i = 0; i < 2; i++) {
        HOLDS(command(nodes, "GET", key, NULL, &error) < 0);
        HOLDS(strcmp(error.node, "node-1") == 0 && strstr(error.message, "node-1") != NULL);
    }
    IS(ANTCACHE_NODE_DOWN, command(nodes, "GET", key, NULL, &error));
    HOLDS(strcmp(error.node, "node-1") == 0);
    /* Without it, the others have its keys. */
    OK(antcache_sharded_remove(nodes, "node-1"));
    IS(ANTCACHE_NOT_FOUND, antcache_sharded_remove(nodes, "node-1"));
    OK(command(nodes, "SET", key, "v", &error));
    OK(antcache_sharded_free(nodes));
    OK(antcache_server_free(servers[0]));
    OK(antcache_server_free(servers[2]));
    return 0;
}
