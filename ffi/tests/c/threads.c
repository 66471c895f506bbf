/* One cache, one client, one pool and one service among threads. */
#include "check.h"
#include <pthread.h>

#define THREADS 4
#define ROUNDS 300

static antcache_cache *cache;
static antcache_client *client;
static antcache_pool *pool;
static antcache_service *service;

static void *work(void *number) {
    int id = *(int *)number, i;
    char key[32], buffer[32];
    size_t len;
    int64_t sum;
    const void *incr[] = {"INCR", "shared", "INCR", "piped", "GET", key};
    const size_t argcs[] = {2, 2}, lens[] = {4, 5, 3, 1};
    antcache_reply *reply;
    antcache_session *session;
    antcache_wants wants;
    OK(antcache_session_new(service, &session));
    for (i = 0; i < ROUNDS; i++) {
        int n = snprintf(key, sizeof key, "%d:%d", id, i);
        OK(antcache_cache_set(cache, key, (size_t)n, key, (size_t)n, 0, 0));
        OK(antcache_cache_get(cache, key, (size_t)n, buffer, sizeof buffer, &len));
        HOLDS(len == (size_t)n && memcmp(key, buffer, len) == 0);
        OK(antcache_cache_incr(cache, B("sum"), 1, NULL));
        OK(antcache_client_incr(client, B("sum"), 1, &sum, NULL));
        OK(antcache_pool_command(pool, 2, incr, NULL, &reply, NULL));
        HOLDS(reply->type == ANTCACHE_REPLY_INTEGER);
        OK(antcache_reply_free(reply));
        OK(antcache_pool_pipeline(pool, 2, argcs, incr + 2, lens, &reply, NULL));
        HOLDS(reply->type == ANTCACHE_REPLY_ARRAY && reply->count == 2);
        HOLDS(reply->elements[0].type == ANTCACHE_REPLY_INTEGER && reply->elements[1].type == ANTCACHE_REPLY_NIL);
        OK(antcache_reply_free(reply));
        OK(antcache_session_feed(session, B("INCR sum\n")));
        OK(antcache_session_turn(session, &wants));
    }
    OK(antcache_session_free(session));
    return NULL;
}

int main(void) {
    const char *settings[] = {"port", "0", "workers", "4"};
    antcache_server *server;
    antcache_session *session;
    antcache_wants wants;
    antcache_pool_options options;
    pthread_t threads[THREADS];
    int numbers[THREADS], i;
    char address[32], buffer[32];
    const void *data;
    size_t len;
    uint16_t port;
    int64_t sum;
    OK(antcache_cache_new(NULL, &cache));
    OK(antcache_service_new(NULL, &service));
    OK(antcache_server_start(settings, 4, &server, NULL));
    OK(antcache_server_port(server, &port));
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
    OK(antcache_client_connect(address, NULL, &client, NULL));
    OK(antcache_pool_options_init(&options, sizeof options));
    options.connections = 2;
    OK(antcache_pool_new(address, &options, &pool, NULL));
    for (i = 0; i < THREADS; i++) {
        numbers[i] = i;
        HOLDS(pthread_create(&threads[i], NULL, work, &numbers[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
        HOLDS(pthread_join(threads[i], NULL) == 0);
    }
    OK(antcache_cache_get(cache, B("sum"), buffer, sizeof buffer, &len));
    HOLDS(SAME(buffer, len, "1200"));
    OK(antcache_client_incr(client, B("sum"), 0, &sum, NULL));
    HOLDS(sum == THREADS * ROUNDS);
    OK(antcache_client_incr(client, B("shared"), 0, &sum, NULL));
    HOLDS(sum == THREADS * ROUNDS);
    OK(antcache_client_incr(client, B("piped"), 0, &sum, NULL));
    HOLDS(sum == THREADS * ROUNDS);
    OK(antcache_session_new(service, &session));
    OK(antcache_session_feed(session, B("GET sum\n")));
    OK(antcache_session_turn(session, &wants));
    OK(antcache_session_output(session, &data, &len));
    HOLDS(SAME(data, len, "1200\n"));
    OK(antcache_session_free(session));
    OK(antcache_pool_free(pool));
    OK(antcache_client_free(client));
    OK(antcache_server_free(server));
    OK(antcache_service_free(service));
    OK(antcache_cache_free(cache));
    return 0;
}
