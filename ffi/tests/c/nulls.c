/* NULL for every pointer. nulls.inc, which programs/nulls.rs makes of the header, has a call for each: all that is not
 * NULL in it is right. */
#include "check.h"

static unsigned char scratch[16][1024];

/* Whether nothing was written to where results go. */
static void untouched(const char *call) {
    size_t i;
    for (i = 0; i < sizeof scratch; i++) {
        if (((unsigned char *)scratch)[i] != 0xa5) {
            fprintf(stderr, "%s has written\n", call);
            exit(1);
        }
    }
}

#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        IS(ANTCACHE_NULL, call);                                                                                       \
        untouched(#call);                                                                                              \
    } while (0)

static int32_t stop(void *context, const void *key, size_t key_len) {
    (void)context;
    (void)key;
    (void)key_len;
    return 1;
}

int main(void) {
    static char bytes[1] = {'k'};
    static const char *words[] = {"port", "0"};
    static const size_t lens[] = {1, 1};
    const char *settings[] = {"port", "0"};
    antcache_cache *cache;
    antcache_value *value;
    antcache_service *service;
    antcache_session *session;
    antcache_server *server;
    antcache_client *client;
    antcache_pool *pool;
    antcache_sharded *sharded;
    char address[32];
    uint16_t port;

    OK(antcache_cache_new(NULL, &cache));
    OK(antcache_cache_set(cache, bytes, 1, bytes, 1, 0, 0));
    OK(antcache_cache_get_value(cache, bytes, 1, &value));
    OK(antcache_service_new(NULL, &service));
    OK(antcache_session_new(service, &session));
    OK(antcache_server_start(settings, 2, &server, NULL));
    OK(antcache_server_port(server, &port));
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
    OK(antcache_client_connect(address, NULL, &client, NULL));
    OK(antcache_pool_new(address, NULL, &pool, NULL));
    OK(antcache_sharded_new(NULL, &sharded, NULL));
    memset(scratch, 0xa5, sizeof scratch);

#include "nulls.inc"

    OK(antcache_sharded_free(sharded));
    OK(antcache_pool_free(pool));
    OK(antcache_client_free(client));
    OK(antcache_server_free(server));
    OK(antcache_session_free(session));
    OK(antcache_service_free(service));
    OK(antcache_value_free(value));
    OK(antcache_cache_free(cache));
    OK(antcache_cache_free(NULL));
    OK(antcache_value_free(NULL));
    OK(antcache_reply_free(NULL));
    OK(antcache_service_free(NULL));
    OK(antcache_session_free(NULL));
    OK(antcache_server_free(NULL));
    OK(antcache_client_free(NULL));
    OK(antcache_pool_free(NULL));
    OK(antcache_sharded_free(NULL));
    return 0;
}
