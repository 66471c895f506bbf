/* A cache inside a program.
 *
 *     cc embedded.c -o embedded $(pkg-config --cflags --libs antcache) && ./embedded
 */
#include <antcache.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What must not fail in so small a program. */
static void must(antcache_status status) {
    if (status < 0) {
        fprintf(stderr, "embedded: %s\n", antcache_status_str(status));
        exit(1);
    }
}

static int32_t show(void *context, const void *key, size_t key_len) {
    (void)context;
    printf("  %.*s\n", (int)key_len, (const char *)key);
    return 0; /* go on */
}

int main(void) {
    antcache_cache_options options;
    antcache_cache *cache;
    must(antcache_cache_options_init(&options, sizeof options));
    options.max_memory = 64 << 20; /* 64 MiB; what is least likely to be asked for again goes first */
    must(antcache_cache_new(&options, &cache));

    /* A value for ever, and one for a minute. */
    must(antcache_cache_set(cache, "user:1", 6, "Ada", 3, 0, 0));
    must(antcache_cache_set(cache, "job:7", 5, "worker 1", 8, 60 * 1000, ANTCACHE_NX));
    if (antcache_cache_set(cache, "job:7", 5, "worker 2", 8, 60 * 1000, ANTCACHE_NX) == ANTCACHE_NOT_STORED) {
        printf("job 7 is taken\n");
    }

    /* Into a buffer of one's own: nothing is allocated. */
    char buffer[256];
    size_t len;
    must(antcache_cache_get(cache, "user:1", 6, buffer, sizeof buffer, &len));
    printf("user 1 is %.*s\n", (int)len, buffer);

    /* A counter. */
    int64_t visits;
    must(antcache_cache_incr(cache, "visits", 6, 3, &visits));
    printf("%ld visits\n", (long)visits);

    /* A large value, borrowed: its bytes are not copied, and stay until they are released. */
    char *page = (char *)malloc(100000);
    antcache_view view;
    if (page == NULL) {
        return 1;
    }
    memset(page, '.', 100000);
    must(antcache_cache_set(cache, "page:/", 6, page, 100000, 0, 0));
    free(page);
    must(antcache_cache_get_view(cache, "page:/", 6, &view));
    must(antcache_cache_delete(cache, "page:/", 6));
    printf("a page of %lu bytes\n", (unsigned long)view.len);
    must(antcache_view_release(&view));

    /* An object. */
    const void *fields[] = {"name", "born"}, *values[] = {"Ada", "1815"};
    const size_t field_lens[] = {4, 4}, value_lens[] = {3, 4};
    antcache_value *user;
    const void *born;
    must(antcache_cache_set_object(cache, "user:2", 6, fields, field_lens, values, value_lens, 2, 0, 0));
    must(antcache_cache_get_value(cache, "user:2", 6, &user));
    must(antcache_value_lookup(user, "born", 4, &born, &len));
    printf("born in %.*s\n", (int)len, (const char *)born);
    must(antcache_value_free(user));

    printf("keys:\n");
    must(antcache_cache_keys(cache, show, NULL));
    must(antcache_cache_free(cache));
    return 0;
}
