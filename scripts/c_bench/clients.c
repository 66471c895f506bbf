/* libantcache's client beside hiredis, in turn, against the server at 127.0.0.1 and the port that is the argument:
 * thousands of GETs a second, plain and in pipelines of 100; a second by the clock, and one of the client's processor
 * time, in which other programs and the server's own pace do not show. */
#include <antcache.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 40
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

static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID};

static void measure(void (*run)(void), int calls, double thousands_a_second[2]) {
    struct timespec start[2], end;
    for (int i = 0; i < 2; i++) {
        clock_gettime(clocks[i], &start[i]);
    }
    run();
    for (int i = 0; i < 2; i++) {
        clock_gettime(clocks[i], &end);
        thousands_a_second[i] = calls / ((double)(end.tv_sec - start[i].tv_sec) * 1e3 +
                                         (double)(end.tv_nsec - start[i].tv_nsec) / 1e6);
    }
}

/* Which of both is first changes with the rounds: what ran before a measurement tells on it. */
static void compare(const char *kind, void (*ours_run)(void), void (*theirs_run)(void), int calls, int round) {
    double our[2], their[2];
    if (round % 2 == 0) {
        measure(ours_run, calls, our);
    }
    measure(theirs_run, calls, their);
    if (round % 2 != 0) {
        measure(ours_run, calls, our);
    }
    printf("%s %.1f %.1f\n%s, processor %.1f %.1f\n", kind, our[0], their[0], kind, our[1], their[1]);
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
        compare("plain", ours_plain, theirs_plain, PLAIN, round);
        compare("pipelined", ours_pipelined, theirs_pipelined, PIPELINED, round);
    }
    redisFree(theirs);
    antcache_client_free(ours);
    return 0;
}
