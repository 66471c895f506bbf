/* How fast the embedded cache is: a million keys of 16 bytes, values of 32, as many threads as asked for.
 *
 *     cc -O2 bench.c -o bench $(pkg-config --cflags --libs antcache) -lpthread -lm && ./bench zipf 2
 */
#include <antcache.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS 1000000
#define CALLS 2000000 /* of each thread */

static antcache_cache *cache;
static char keys[KEYS][17];
static double shares[KEYS]; /* of all calls, those for this key and the ones before it */
static bool sets;

/* Which keys a thread asks for: drawn before the time is taken. */
static void draw(uint32_t *order, uint64_t seed) {
    for (int i = 0; i < CALLS; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        double wanted = (double)(seed >> 11) / 9007199254740992.0;
        uint32_t low = 0, high = KEYS - 1;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (shares[middle] > wanted) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        /* Often asked for is not next to often asked for. */
        order[i] = (uint32_t)((low * 2654435761ull) % KEYS);
    }
}

static void *work(void *argument) {
    const uint32_t *order = (const uint32_t *)argument;
    char value[32] = {0};
    size_t len;
    for (int i = 0; i < CALLS; i++) {
        const char *key = keys[order[i]];
        antcache_status status = sets ? antcache_cache_set(cache, key, 16, value, sizeof value, 0, 0)
                                      : antcache_cache_get(cache, key, 16, value, sizeof value, &len);
        if (status != ANTCACHE_OK) {
            fprintf(stderr, "bench: %s\n", antcache_status_str(status));
            exit(1);
        }
    }
    return NULL;
}

static double millions_a_second(int threads, uint32_t **orders) {
    pthread_t running[64];
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < threads; i++) {
        pthread_create(&running[i], NULL, work, orders[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(running[i], NULL);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    return (double)CALLS * threads / seconds / 1e6;
}

int main(int argc, char **argv) {
    bool zipf = argc > 1 && strcmp(argv[1], "zipf") == 0;
    int threads = argc > 2 ? atoi(argv[2]) : 1;
    uint32_t *orders[64];
    double sum = 0;
    if (threads < 1 || threads > 64 || antcache_cache_new(NULL, &cache) != ANTCACHE_OK) {
        return 1;
    }
    for (int i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof keys[i], "key:%012d", i);
        antcache_cache_set(cache, keys[i], 16, "a value of thirty-two bytes ....", 32, 0, 0);
        shares[i] = sum += zipf ? pow(i + 1, -0.99) : 1.0;
    }
    for (int i = 0; i < KEYS; i++) {
        shares[i] /= sum;
    }
    for (int i = 0; i < threads; i++) {
        draw(orders[i] = (uint32_t *)malloc(CALLS * sizeof(uint32_t)), 88172645463325252ull + (uint64_t)i);
    }
    sets = true;
    millions_a_second(threads, orders); /* the first time is another one */
    printf("set %.2f\n", millions_a_second(threads, orders));
    sets = false;
    printf("get %.2f\n", millions_a_second(threads, orders));
    return 0;
}
