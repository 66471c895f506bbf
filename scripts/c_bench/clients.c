/* libantcache's client beside hiredis, in turn, against the server at 127.0.0.1 and the port that is the argument:
 * thousands of GETs a second, plain and in pipelines of 100. */
#include <antcache.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 7
#define PLAIN 10000
#define PIPELINED 200000
#define PIPELINE 100

static antcache_client *ours;
static redisContext *theirs;
static const char *words[] = {"GET", "key:0000000001"};
static const size_t lens[] = {3, 14};

static void fail(const char *why) {
    fprintf(stderr, "clients: %s\n", why);
    exit(1);
}

static void ours_plain(void) {
    antcache_reply *reply;
    for (int i = 0; i < PLAIN; i++) {
        if (antcache_client_command(ours, 2, (const void *const *)words, lens, &reply, NULL) != ANTCACHE_OK ||
            reply->len != 32) {
            fail("ours");
        }
        antcache_reply_free(reply);
    }
}

static void theirs_plain(void) {
    for (int i = 0; i < PLAIN; i++) {
        redisReply *reply = (redisReply *)redisCommandArgv(theirs, 2, words, lens);
        if (reply == NULL || reply->len != 32) {
            fail("theirs");
        }
        freeReplyObject(reply);
    }
}

static void ours_pipelined(void) {
    antcache_reply *reply;
    for (int i = 0; i < PIPELINED; i += PIPELINE) {
        for (int j = 0; j < PIPELINE; j++) {
            antcache_client_append(ours, 2, (const void *const *)words, lens);
        }
        for (int j = 0; j < PIPELINE; j++) {
            if (antcache_client_get_reply(ours, &reply, NULL) != ANTCACHE_OK || reply->len != 32) {
                fail("ours");
            }
            antcache_reply_free(reply);
        }
    }
}

static void theirs_pipelined(void) {
    void *reply;
    for (int i = 0; i < PIPELINED; i += PIPELINE) {
        for (int j = 0; j < PIPELINE; j++) {
            redisAppendCommandArgv(theirs, 2, words, lens);
        }
        for (int j = 0; j < PIPELINE; j++) {
            if (redisGetReply(theirs, &reply) != REDIS_OK || ((redisReply *)reply)->len != 32) {
                fail("theirs");
            }
            freeReplyObject(reply);
        }
    }
}

static double thousands_a_second(void (*run)(void), int calls) {
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    run();
    clock_gettime(CLOCK_MONOTONIC, &end);
    return calls / ((double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6);
}

int main(int argc, char **argv) {
    char address[32];
    if (argc != 2) {
        fail("usage: clients PORT");
    }
    snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
    if (antcache_client_connect(address, NULL, &ours, NULL) != ANTCACHE_OK ||
        antcache_client_set(ours, words[1], lens[1], "a value of thirty-two bytes ....", 32, 0, 0, NULL) != ANTCACHE_OK) {
        fail("cannot connect");
    }
    theirs = redisConnect("127.0.0.1", atoi(argv[1]));
    if (theirs == NULL || theirs->err) {
        fail("cannot connect");
    }
    /* Waits of both have an end: ours by default, and the kernel sets a timer for it. */
    struct timeval limit = {10, 0};
    redisSetTimeout(theirs, limit);
    for (int round = 0; round < ROUNDS; round++) {
        printf("plain %.1f %.1f\n", thousands_a_second(ours_plain, PLAIN), thousands_a_second(theirs_plain, PLAIN));
        printf("pipelined %.1f %.1f\n", thousands_a_second(ours_pipelined, PIPELINED),
               thousands_a_second(theirs_pipelined, PIPELINED));
    }
    redisFree(theirs);
    antcache_client_free(ours);
    return 0;
}
