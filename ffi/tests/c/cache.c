/* The embedded cache: every function, as it should be used. Its files go where the argument says. */
#include "check.h"
#include <unistd.h>

static uint64_t now = 1000;

static uint64_t clock_by_hand(void *context) {
    return *(uint64_t *)context;
}

static int32_t count_keys(void *context, const void *key, size_t key_len) {
    HOLDS(key != NULL && key_len > 0);
    return --*(int *)context == 0;
}

static void strings(antcache_cache *cache) {
    char buffer[8];
    size_t len = 99;
    IS(ANTCACHE_NOT_FOUND, antcache_cache_get(cache, B("key"), buffer, sizeof buffer, &len));
    HOLDS(len == 99);
    OK(antcache_cache_set(cache, B("key"), B("value"), 0, 0));
    OK(antcache_cache_get(cache, B("key"), buffer, sizeof buffer, &len));
    HOLDS(SAME(buffer, len, "value"));
    memset(buffer, 'x', sizeof buffer);
    IS(ANTCACHE_NO_ROOM, antcache_cache_get(cache, B("key"), buffer, 4, &len));
    HOLDS(len == 5 && memcmp(buffer, "xxxxxxxx", 8) == 0);
    IS(ANTCACHE_NOT_STORED, antcache_cache_set(cache, B("key"), B("other"), 0, ANTCACHE_NX));
    IS(ANTCACHE_NOT_STORED, antcache_cache_set(cache, B("none"), B("other"), 0, ANTCACHE_XX));
    OK(antcache_cache_set(cache, B("key"), B("other"), 0, ANTCACHE_XX));

    void *copy;
    OK(antcache_cache_get_copy(cache, B("key"), &copy, &len));
    HOLDS(SAME(copy, len, "other"));
    antcache_free(copy);
    antcache_free(NULL);

    OK(antcache_cache_contains(cache, B("key")));
    OK(antcache_cache_delete(cache, B("key")));
    IS(ANTCACHE_NOT_FOUND, antcache_cache_delete(cache, B("key")));
    IS(ANTCACHE_NOT_FOUND, antcache_cache_contains(cache, B("key")));
}

static void views(antcache_cache *cache) {
    static char large[100000];
    memset(large, 'L', sizeof large);
    OK(antcache_cache_set(cache, B("large"), large, sizeof large, 0, 0));
    OK(antcache_cache_set(cache, B("small"), B("s"), 0, 0));
    antcache_view view, again;
    OK(antcache_cache_get_view(cache, B("large"), &view));
    OK(antcache_cache_get_view(cache, B("large"), &again));
    HOLDS(view.data == again.data);
    OK(antcache_view_release(&again));
    OK(antcache_cache_delete(cache, B("large")));
    HOLDS(view.len == sizeof large && memcmp(view.data, large, sizeof large) == 0);
    OK(antcache_view_release(&view));
    HOLDS(view.data == NULL && view.len == 0);
    OK(antcache_view_release(&view));
    OK(antcache_cache_get_view(cache, B("small"), &view));
    HOLDS(SAME(view.data, view.len, "s"));
    OK(antcache_view_release(&view));
    IS(ANTCACHE_NOT_FOUND, antcache_cache_get_view(cache, B("large"), &view));
}

static void kinds(antcache_cache *cache) {
    const void *fields[] = {"name", "born", "name"};
    const size_t field_lens[] = {4, 4, 4};
    const void *values[] = {"A.", "1815", "Ada"};
    const size_t value_lens[] = {2, 4, 3};
    antcache_value *value;
    antcache_kind kind;
    size_t count, len, field_len;
    const void *data, *field;

    OK(antcache_cache_set_array(cache, B("array"), values, value_lens, 3, 0, 0));
    OK(antcache_cache_get_value(cache, B("array"), &value));
    OK(antcache_value_kind(value, &kind, &count));
    HOLDS(kind == ANTCACHE_KIND_ARRAY && count == 3);
    OK(antcache_value_element(value, 2, &data, &len));
    HOLDS(SAME(data, len, "Ada"));
    IS(ANTCACHE_NOT_FOUND, antcache_value_element(value, 3, &data, &len));
    IS(ANTCACHE_WRONG_TYPE, antcache_value_lookup(value, B("name"), &data, &len));
    IS(ANTCACHE_WRONG_TYPE, antcache_value_field(value, 0, &field, &field_len, &data, &len));
    OK(antcache_value_free(value));
    char buffer[64];
    IS(ANTCACHE_WRONG_TYPE, antcache_cache_get(cache, B("array"), buffer, sizeof buffer, &len));
    void *copy;
    IS(ANTCACHE_WRONG_TYPE, antcache_cache_get_copy(cache, B("array"), &copy, &len));

    OK(antcache_cache_set_object(cache, B("object"), fields, field_lens, values, value_lens, 3, 0, 0));
    OK(antcache_cache_get_value(cache, B("object"), &value));
    OK(antcache_cache_delete(cache, B("object")));
    OK(antcache_value_kind(value, &kind, &count));
    HOLDS(kind == ANTCACHE_KIND_OBJECT && count == 2);
    OK(antcache_value_field(value, 0, &field, &field_len, &data, &len));
    HOLDS(SAME(field, field_len, "name") && SAME(data, len, "Ada"));
    OK(antcache_value_lookup(value, B("born"), &data, &len));
    HOLDS(SAME(data, len, "1815"));
    IS(ANTCACHE_NOT_FOUND, antcache_value_lookup(value, B("died"), &data, &len));
    IS(ANTCACHE_NOT_FOUND, antcache_value_field(value, 2, &field, &field_len, &data, &len));
    IS(ANTCACHE_WRONG_TYPE, antcache_value_element(value, 0, &data, &len));
    OK(antcache_value_free(value));

    OK(antcache_cache_set(cache, B("string"), B("text"), 0, 0));
    OK(antcache_cache_get_value(cache, B("string"), &value));
    OK(antcache_value_kind(value, &kind, NULL));
    HOLDS(kind == ANTCACHE_KIND_STRING);
    OK(antcache_value_element(value, 0, &data, &len));
    HOLDS(SAME(data, len, "text"));
    OK(antcache_value_free(value));
}

static void time_and_numbers(antcache_cache *cache) {
    char buffer[32];
    size_t len;
    uint64_t ttl, next;
    int64_t sum;
    OK(antcache_cache_set(cache, B("t"), B("v"), 500, 0));
    OK(antcache_cache_ttl(cache, B("t"), &ttl));
    HOLDS(ttl == 500);
    OK(antcache_cache_touch(cache, B("t"), 700));
    now += 500;
    OK(antcache_cache_ttl(cache, B("t"), &ttl));
    HOLDS(ttl == 200);
    OK(antcache_cache_touch(cache, B("t"), 0));
    OK(antcache_cache_ttl(cache, B("t"), &ttl));
    HOLDS(ttl == 0);
    OK(antcache_cache_touch(cache, B("t"), 1));
    now += 1;
    IS(ANTCACHE_NOT_FOUND, antcache_cache_get(cache, B("t"), buffer, sizeof buffer, &len));
    now -= 1; /* A clock that goes back revives nothing. */
    IS(ANTCACHE_NOT_FOUND, antcache_cache_ttl(cache, B("t"), &ttl));
    IS(ANTCACHE_NOT_FOUND, antcache_cache_touch(cache, B("t"), 1));
    now += 100000;
    do {
        OK(antcache_cache_tick(cache, &next));
    } while (next == 0);
    OK(antcache_cache_tick(cache, NULL));

    OK(antcache_cache_incr(cache, B("n"), 41, &sum));
    OK(antcache_cache_incr(cache, B("n"), 1, &sum));
    HOLDS(sum == 42);
    OK(antcache_cache_incr(cache, B("n"), -50, NULL));
    OK(antcache_cache_get(cache, B("n"), buffer, sizeof buffer, &len));
    HOLDS(SAME(buffer, len, "-8"));
    IS(ANTCACHE_OVERFLOW, antcache_cache_incr(cache, B("n"), INT64_MIN, &sum));
    OK(antcache_cache_set(cache, B("n"), B("x"), 0, 0));
    IS(ANTCACHE_WRONG_TYPE, antcache_cache_incr(cache, B("n"), 1, &sum));
    HOLDS(sum == 42);
}

static void walks_and_numbers(antcache_cache *cache) {
    antcache_stats stats;
    int left = -1;
    OK(antcache_cache_flush(cache));
    OK(antcache_cache_set(cache, B("a"), B("1"), 0, 0));
    OK(antcache_cache_set(cache, B("b"), B("2"), 0, 0));
    OK(antcache_cache_keys(cache, count_keys, &left));
    HOLDS(left == -3);
    left = 1;
    IS(ANTCACHE_STOPPED, antcache_cache_keys(cache, count_keys, &left));
    OK(antcache_cache_stats(cache, &stats, sizeof stats));
    HOLDS(stats.entries == 2 && stats.hits > 5 && stats.misses > 1 && stats.expirations == 1 && stats.memory > 0);
}

static void bounds(void) {
    antcache_cache_options options;
    antcache_cache *cache;
    antcache_stats stats;
    static char value[1 << 20];
    int i;
    OK(antcache_cache_options_init(&options, sizeof options));
    options.max_memory = 1 << 20;
    OK(antcache_cache_new(&options, &cache));
    IS(ANTCACHE_TOO_LARGE, antcache_cache_set(cache, B("k"), value, sizeof value, 0, 0));
    for (i = 0; i < 100; i++) {
        OK(antcache_cache_set(cache, &i, sizeof i, value, 50000, 0, 0));
    }
    OK(antcache_cache_stats(cache, &stats, sizeof stats));
    HOLDS(stats.memory <= options.max_memory + 65536 && stats.evictions > 0);
    OK(antcache_cache_set_max_memory(cache, 0));
    OK(antcache_cache_set(cache, B("k"), value, sizeof value, 0, 0));
    OK(antcache_cache_free(cache));

    options.max_memory = 0;
    options.max_entries = 1;
    options.eviction = ANTCACHE_EVICT_NONE;
    OK(antcache_cache_new(&options, &cache));
    OK(antcache_cache_set(cache, B("a"), B("1"), 0, 0));
    IS(ANTCACHE_FULL, antcache_cache_set(cache, B("b"), B("1"), 0, 0));
    OK(antcache_cache_free(cache));
}

static void files(antcache_cache *cache, const char *directory) {
    char path[4096];
    antcache_cache *loaded;
    antcache_error error;
    char buffer[8];
    size_t len;
    int file;
    HOLDS(snprintf(path, sizeof path, "%s/antcache-XXXXXX", directory) < (int)sizeof path);
    file = mkstemp(path);
    HOLDS(file >= 0 && close(file) == 0);
    OK(antcache_cache_new(NULL, &loaded));
    IS(ANTCACHE_DAMAGED, antcache_cache_load(loaded, path, &error));
    HOLDS(strstr(error.message, path) != NULL);
    OK(antcache_cache_set(cache, B("saved"), B("value"), 0, 0));
    OK(antcache_cache_save(cache, path, &error));
    OK(antcache_cache_load(loaded, path, &error));
    OK(antcache_cache_get(loaded, B("saved"), buffer, sizeof buffer, &len));
    HOLDS(SAME(buffer, len, "value"));
    HOLDS(unlink(path) == 0);
    IS(ANTCACHE_SYSTEM, antcache_cache_load(loaded, path, &error));
    IS(ANTCACHE_SYSTEM, antcache_cache_save(loaded, "/none/file", &error));
    HOLDS(strncmp(error.message, "cannot save /none/file: ", 24) == 0);
    OK(antcache_cache_free(loaded));
}

int main(int argc, char **argv) {
    antcache_cache_options options;
    antcache_cache *cache;
    OK(antcache_cache_options_init(&options, sizeof options));
    options.shards = 4;
    options.clock = clock_by_hand;
    options.clock_context = &now;
    OK(antcache_cache_new(&options, &cache));
    strings(cache);
    views(cache);
    kinds(cache);
    time_and_numbers(cache);
    walks_and_numbers(cache);
    HOLDS(argc == 2);
    files(cache, argv[1]);
    OK(antcache_cache_free(cache));
    bounds();
    OK(antcache_cache_new(NULL, &cache));
    OK(antcache_cache_free(cache));
    HOLDS(strcmp(antcache_status_str(ANTCACHE_FULL), "the cache is full") == 0);
    HOLDS(strcmp(antcache_status_str(12345), "unknown status") == 0);
    HOLDS(antcache_version()[0] == '0');
    return 0;
}
