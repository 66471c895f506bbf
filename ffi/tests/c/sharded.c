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

/* Two requests at once for each of 100 keys. */
static void pipelines(antcache_sharded *nodes) {
    static char keys[100][16];
    const void *words[500];
    size_t argcs[200], i;
    antcache_reply *replies;
    antcache_error error;
    for (i = 0; i < 100; i++) {
        snprintf(keys[i], sizeof keys[i], "p %d", (int)i);
        argcs[2 * i] = 3, argcs[2 * i + 1] = 2;
        words[5 * i] = "SET", words[5 * i + 1] = keys[i], words[5 * i + 2] = keys[i];
        words[5 * i + 3] = i == 7 ? "INCR" : "GET", words[5 * i + 4] = keys[i];
    }
    OK(antcache_sharded_pipeline(nodes, 200, argcs, words, NULL, &replies, &error));
    HOLDS(replies->type == ANTCACHE_REPLY_ARRAY && replies->count == 200);
    for (i = 0; i < 100; i++) {
        const antcache_reply *get = &replies->elements[2 * i + 1];
        HOLDS(replies->elements[2 * i].type == ANTCACHE_REPLY_STATUS);
        if (i == 7) {
            HOLDS(get->type == ANTCACHE_REPLY_ERROR && strncmp(get->str, "ERR ", 4) == 0);
        } else {
            HOLDS(get->type == ANTCACHE_REPLY_STRING && strcmp(get->str, keys[i]) == 0);
        }
    }
    OK(antcache_reply_free(replies));
    argcs[1] = 0;
    IS(ANTCACHE_INVALID, antcache_sharded_pipeline(nodes, 2, argcs, words, NULL, &replies, &error));
    argcs[0] = argcs[1] = (size_t)-1;
    IS(ANTCACHE_INVALID, antcache_sharded_pipeline(nodes, 2, argcs, words, NULL, &replies, &error));
    IS(ANTCACHE_INVALID, antcache_sharded_pipeline(nodes, 0, argcs, words, NULL, &replies, &error));
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
    antcache_node_stats stats;
    const void *both[4] = {"GET", NULL, "GET", NULL};
    const size_t argcs[2] = {2, 2};
    antcache_reply *replies;
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
    pipelines(nodes);
    IS(ANTCACHE_STRUCT_SIZE, antcache_sharded_node_stats(nodes, 0, &stats, sizeof stats - 1));
    IS(ANTCACHE_NOT_FOUND, antcache_sharded_node_stats(nodes, NODES, &stats, sizeof stats));
    OK(antcache_sharded_node_stats(nodes, 1, &stats, sizeof stats));
    HOLDS(strcmp(stats.name, "node-1") == 0 && strncmp(stats.address, "127.0.0.1:", 10) == 0 && stats.weight == 1);
    HOLDS(stats.requests > (uint64_t)on[1] && stats.failures == 0 && stats.downs == 0 && stats.retry_in_ms == 0);
    HOLDS(stats.idle == 1 && stats.leased == 0 && stats.last_error[0] == 0);

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
    OK(antcache_sharded_node_stats(nodes, 1, &stats, sizeof stats));
    HOLDS(stats.failures == 2 && stats.downs == 1 && stats.retry_in_ms > 0 && stats.last_error[0] != 0);
    /* In a pipeline only its own requests fail. */
    both[1] = key;
    do {
        snprintf(name, sizeof name, "key %d", i++);
        OK(antcache_sharded_node_of(nodes, name, strlen(name), again, sizeof again));
    } while (again[5] == '1');
    both[3] = name;
    OK(antcache_sharded_pipeline(nodes, 2, argcs, both, NULL, &replies, &error));
    HOLDS(replies->elements[0].type == ANTCACHE_REPLY_ERROR);
    HOLDS(strncmp(replies->elements[0].str, "NODE_DOWN node 'node-1' at ", 27) == 0);
    HOLDS(replies->elements[1].type == ANTCACHE_REPLY_STRING && strcmp(replies->elements[1].str, name) == 0);
    OK(antcache_reply_free(replies));
    /* Without it, the others have its keys. */
    OK(antcache_sharded_remove(nodes, "node-1"));
    IS(ANTCACHE_NOT_FOUND, antcache_sharded_remove(nodes, "node-1"));
    OK(command(nodes, "SET", key, "v", &error));
    OK(antcache_sharded_free(nodes));
    OK(antcache_server_free(servers[0]));
    OK(antcache_server_free(servers[2]));
    return 0;
}
