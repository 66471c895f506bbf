/* One client for many servers: keys are shared out by a ring, as twemproxy does it.
 *
 *     cc sharded.c -o sharded $(pkg-config --cflags --libs antcache) && ./sharded 127.0.0.1:8890 127.0.0.1:8891
 */
#include <antcache.h>
#include <stdio.h>
#include <stdlib.h>

static antcache_error error;

static antcache_status must(antcache_status status) {
    if (status < 0) {
        fprintf(stderr, "sharded: node '%s': %s\n", error.node, error.message);
        exit(1);
    }
    return status;
}

int main(int argc, char **argv) {
    antcache_sharded_options options;
    antcache_sharded *nodes;
    antcache_reply *reply;
    must(antcache_sharded_options_init(&options, sizeof options));
    options.hash_tag = "{}"; /* user:{7}:name and user:{7}:mail are on one node */
    must(antcache_sharded_new(&options, &nodes, &error));
    for (int i = 1; i < argc; i++) {
        /* The name places the keys, the address may change. */
        char name[32];
        snprintf(name, sizeof name, "node %d", i);
        must(antcache_sharded_add(nodes, name, argv[i], 1, &error));
    }

    /* Split by node, sent to all of them at once, answered in the order of the keys. */
    const void *mset[] = {"MSET", "a", "1", "b", "2", "c", "3", "d", "4", "e", "5"};
    const void *mget[] = {"MGET", "e", "d", "none", "b", "a"};
    must(antcache_sharded_command(nodes, 11, mset, NULL, &reply, &error));
    antcache_reply_free(reply);
    must(antcache_sharded_command(nodes, 6, mget, NULL, &reply, &error));
    for (size_t i = 0; i < reply->count; i++) {
        const antcache_reply *value = &reply->elements[i];
        printf("%s%s", value->type == ANTCACHE_REPLY_NIL ? "-" : value->str, i + 1 < reply->count ? " " : "\n");
    }
    antcache_reply_free(reply);

    char first[256], second[256];
    must(antcache_sharded_node_of(nodes, "user:{7}:name", 13, first, sizeof first));
    must(antcache_sharded_node_of(nodes, "user:{7}:mail", 13, second, sizeof second));
    printf("together on %s: %s\n", first, second);

    /* Which node has a key's failure is said. */
    const void *wrong[] = {"INCR", "word"}, *set[] = {"SET", "word", "x"};
    must(antcache_sharded_command(nodes, 3, set, NULL, &reply, &error));
    antcache_reply_free(reply);
    if (antcache_sharded_command(nodes, 2, wrong, NULL, &reply, &error) == ANTCACHE_SERVER_ERROR) {
        printf("as it should, %s: %s\n", error.node, error.message);
    }
    antcache_sharded_free(nodes);
    return 0;
}
