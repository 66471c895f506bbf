/* What a program should not do. The library is a debug build. */
#include "check.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define HUGE_LENGTH ((size_t)-1)

static void lengths(antcache_cache *cache) {
    static char key[ANTCACHE_MAX_KEY + 1];
    const void *strings[] = {"a", "b"};
    const size_t lens[] = {HUGE_LENGTH, 1};
    char buffer[4];
    size_t len = 99;
    int64_t sum;
    OK(antcache_cache_set(cache, key, ANTCACHE_MAX_KEY, B("v"), 0, 0));
    IS(ANTCACHE_KEY_TOO_LONG, antcache_cache_set(cache, key, sizeof key, B("v"), 0, 0));
    IS(ANTCACHE_KEY_TOO_LONG, antcache_cache_set(cache, key, HUGE_LENGTH, B("v"), 0, 0));
    IS(ANTCACHE_TOO_LARGE, antcache_cache_set(cache, B("k"), "v", HUGE_LENGTH, 0, 0));
    IS(ANTCACHE_TOO_LARGE, antcache_cache_set(cache, B("k"), "v", (size_t)ANTCACHE_MAX_VALUE + 1, 0, 0));
    IS(ANTCACHE_KEY_TOO_LONG, antcache_cache_get(cache, key, HUGE_LENGTH, buffer, sizeof buffer, &len));
    IS(ANTCACHE_INVALID, antcache_cache_get(cache, B("k"), buffer, HUGE_LENGTH, &len));
    IS(ANTCACHE_KEY_TOO_LONG, antcache_cache_incr(cache, key, sizeof key, 1, &sum));
    IS(ANTCACHE_TOO_LARGE, antcache_cache_set_array(cache, B("k"), strings, lens, 2, 0, 0));
    IS(ANTCACHE_INVALID, antcache_cache_set_array(cache, B("k"), strings, lens, HUGE_LENGTH, 0, 0));
    IS(ANTCACHE_INVALID, antcache_cache_set_array(cache, B("k"), strings, lens, (size_t)ANTCACHE_MAX_COUNT + 1, 0, 0));
    HOLDS(len == 99);
    /* Nothing is not too little. */
    OK(antcache_cache_set(cache, "", 0, "", 0, 0, 0));
    OK(antcache_cache_get(cache, "", 0, buffer, 0, &len));
    HOLDS(len == 0);
    OK(antcache_cache_set_array(cache, B("k"), strings, lens, 0, 0, 0));
    OK(antcache_cache_set_object(cache, B("k"), strings, lens, strings, lens, 0, 0, 0));
    /* Ends that cannot be reached, and flags that are none. */
    OK(antcache_cache_set(cache, B("t"), B("v"), UINT64_MAX, 0));
    OK(antcache_cache_get(cache, B("t"), buffer, sizeof buffer, &len));
    IS(ANTCACHE_INVALID, antcache_cache_set(cache, B("k"), B("v"), 0, ANTCACHE_NX | ANTCACHE_XX));
    IS(ANTCACHE_INVALID, antcache_cache_set(cache, B("k"), B("v"), 0, 4));
}

static void settings(void) {
    union {
        antcache_cache_options cache;
        antcache_service_options service;
        antcache_client_options client;
        antcache_pool_options pool;
        antcache_sharded_options sharded;
    } o;
    antcache_cache *cache = NULL;
    antcache_service *service = NULL;
    antcache_client *client = NULL;
    antcache_pool *pool = NULL;
    antcache_sharded *sharded = NULL;
    antcache_error error;
    antcache_stats stats;
    size_t sizes[] = {0, 1, sizeof(size_t), HUGE_LENGTH}, i;
    for (i = 0; i < 4; i++) {
        IS(ANTCACHE_STRUCT_SIZE, antcache_cache_options_init(&o.cache, sizes[i]));
        o.cache.size = sizes[i];
        IS(ANTCACHE_STRUCT_SIZE, antcache_cache_new(&o.cache, &cache));
        IS(ANTCACHE_STRUCT_SIZE, antcache_service_new(&o.service, &service));
        IS(ANTCACHE_STRUCT_SIZE, antcache_client_connect("127.0.0.1:1", &o.client, &client, NULL));
        IS(ANTCACHE_STRUCT_SIZE, antcache_pool_new("127.0.0.1:1", &o.pool, &pool, NULL));
        IS(ANTCACHE_STRUCT_SIZE, antcache_sharded_new(&o.sharded, &sharded, &error));
    }
    OK(antcache_cache_options_init(&o.cache, sizeof o.cache));
    o.cache.shards = 4097;
    IS(ANTCACHE_INVALID, antcache_cache_new(&o.cache, &cache));
    o.cache.shards = 0;
    o.cache.eviction = 5;
    IS(ANTCACHE_INVALID, antcache_cache_new(&o.cache, &cache));
    o.cache.eviction = -1;
    IS(ANTCACHE_INVALID, antcache_cache_new(&o.cache, &cache));
    IS(ANTCACHE_NULL, antcache_cache_new((const antcache_cache_options *)(const void *)((const char *)&o + 1), &cache));
    OK(antcache_client_options_init(&o.client, sizeof o.client));
    o.client.protocol = 4;
    IS(ANTCACHE_INVALID, antcache_client_connect("127.0.0.1:1", &o.client, &client, NULL));
    o.client.protocol = 2;
    o.client.password = "\xff";
    IS(ANTCACHE_INVALID, antcache_client_connect("127.0.0.1:1", &o.client, &client, NULL));
    OK(antcache_sharded_options_init(&o.sharded, sizeof o.sharded));
    o.sharded.hash = "fnv";
    IS(ANTCACHE_BAD_SETTINGS, antcache_sharded_new(&o.sharded, &sharded, &error));
    HOLDS(strstr(error.message, "fnv") != NULL);
    HOLDS(cache == NULL && service == NULL && client == NULL && pool == NULL && sharded == NULL);
    OK(antcache_cache_new(NULL, &cache));
    IS(ANTCACHE_STRUCT_SIZE, antcache_cache_stats(cache, &stats, sizeof stats - 1));
    OK(antcache_cache_free(cache));
}

static void handles(antcache_cache *cache) {
    antcache_cache *freed;
    antcache_value *value;
    antcache_kind kind;
    antcache_view view;
    memset(&view, 0, sizeof view);
    OK(antcache_view_release(&view));
    OK(antcache_cache_new(NULL, &freed));
    OK(antcache_cache_free(freed));
    IS(ANTCACHE_BAD_HANDLE, antcache_cache_free(freed));
    IS(ANTCACHE_BAD_HANDLE, antcache_cache_flush(freed));
    OK(antcache_cache_set(cache, B("k"), B("v"), 0, 0));
    OK(antcache_cache_get_value(cache, B("k"), &value));
    IS(ANTCACHE_BAD_HANDLE, antcache_cache_flush((antcache_cache *)(void *)value));
    IS(ANTCACHE_BAD_HANDLE, antcache_value_kind((antcache_value *)(void *)cache, &kind, NULL));
    IS(ANTCACHE_BAD_HANDLE, antcache_reply_free((antcache_reply *)(void *)cache));
    IS(ANTCACHE_BAD_HANDLE, antcache_cache_flush((antcache_cache *)(void *)&freed));
    OK(antcache_value_free(value));
    IS(ANTCACHE_BAD_HANDLE, antcache_value_free(value));
}

static void forks(antcache_cache *cache) {
    const char *port[] = {"port", "0"};
    antcache_service *service;
    antcache_session *session;
    antcache_server *server;
    antcache_client *client;
    antcache_pool *pool;
    antcache_sharded *sharded;
    antcache_reply *reply = NULL;
    const void *ping[] = {"PING"};
    antcache_value *value;
    antcache_wants wants;
    antcache_kind kind;
    uint16_t number;
    char address[32];
    int status;
    OK(antcache_service_new(NULL, &service));
    OK(antcache_session_new(service, &session));
    OK(antcache_server_start(port, 2, &server, NULL));
    OK(antcache_server_port(server, &number));
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)number);
    OK(antcache_client_connect(address, NULL, &client, NULL));
    OK(antcache_pool_new(address, NULL, &pool, NULL));
    OK(antcache_sharded_new(NULL, &sharded, NULL));
    OK(antcache_cache_set(cache, B("k"), B("v"), 0, 0));
    OK(antcache_cache_get_value(cache, B("k"), &value));
    pid_t child = fork();
    HOLDS(child >= 0);
    if (child == 0) {
        antcache_cache *own;
        char buffer[4];
        size_t len;
        IS(ANTCACHE_FORKED, antcache_cache_get(cache, B("k"), buffer, sizeof buffer, &len));
        IS(ANTCACHE_FORKED, antcache_cache_set(cache, B("k"), B("v"), 0, 0));
        IS(ANTCACHE_FORKED, antcache_session_turn(session, &wants));
        IS(ANTCACHE_FORKED, antcache_service_tick(service, NULL));
        IS(ANTCACHE_FORKED, antcache_server_stop(server));
        IS(ANTCACHE_FORKED, antcache_client_delete(client, B("k"), NULL));
        IS(ANTCACHE_FORKED, antcache_client_free(client));
        IS(ANTCACHE_FORKED, antcache_pool_command(pool, 1, ping, NULL, &reply, NULL));
        IS(ANTCACHE_FORKED, antcache_sharded_command(sharded, 1, ping, NULL, &reply, NULL));
        IS(ANTCACHE_FORKED, antcache_pool_free(pool));
        IS(ANTCACHE_FORKED, antcache_sharded_free(sharded));
        IS(ANTCACHE_FORKED, antcache_server_free(server));
        IS(ANTCACHE_FORKED, antcache_cache_free(cache));
        OK(antcache_value_kind(value, &kind, NULL));
        OK(antcache_value_free(value));
        OK(antcache_cache_new(NULL, &own));
        OK(antcache_cache_set(own, B("k"), B("v"), 0, 0));
        OK(antcache_cache_get(own, B("k"), buffer, sizeof buffer, &len));
        OK(antcache_cache_free(own));
        _exit(7);
    }
    HOLDS(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    /* The parent's are as good as before. */
    OK(antcache_client_set(client, B("k"), B("v"), 0, 0, NULL));
    OK(antcache_session_turn(session, &wants));
    OK(antcache_pool_command(pool, 1, ping, NULL, &reply, NULL));
    OK(antcache_reply_free(reply));
    OK(antcache_sharded_free(sharded));
    OK(antcache_pool_free(pool));
    OK(antcache_client_free(client));
    OK(antcache_server_free(server));
    OK(antcache_session_free(session));
    OK(antcache_service_free(service));
    OK(antcache_value_free(value));
}

static void memory(antcache_cache *cache) {
    size_t size = (size_t)600 << 20;
    struct rlimit before, tight;
    void *copy = NULL;
    size_t len = 99;
    void *value = mmap(NULL, size, PROT_READ, MAP_PRIVATE | 0x20 /* MAP_ANONYMOUS */, -1, 0);
    HOLDS(value != MAP_FAILED);
    OK(antcache_cache_set(cache, B("large"), value, 64 << 20, 0, 0));
    HOLDS(getrlimit(RLIMIT_AS, &before) == 0);
    tight = before;
    tight.rlim_cur = 16 << 20; /* less than there is already: nothing new */
    HOLDS(setrlimit(RLIMIT_AS, &tight) == 0);
    IS(ANTCACHE_NO_MEMORY, antcache_cache_set(cache, B("huge"), value, size, 0, 0));
    IS(ANTCACHE_NO_MEMORY, antcache_cache_get_copy(cache, B("large"), &copy, &len));
    HOLDS(copy == NULL && len == 99);
    IS(ANTCACHE_NOT_FOUND, antcache_cache_contains(cache, B("huge")));
    HOLDS(setrlimit(RLIMIT_AS, &before) == 0);
    OK(antcache_cache_get_copy(cache, B("large"), &copy, &len));
    HOLDS(len == 64 << 20);
    antcache_free(copy);
    munmap(value, size);
}

int main(void) {
    antcache_cache *cache;
    OK(antcache_cache_new(NULL, &cache));
    lengths(cache);
    settings();
    handles(cache);
    forks(cache);
    memory(cache);
    OK(antcache_cache_free(cache));
    return 0;
}
