/* What the test programs share. */
#ifndef CHECK_H
#define CHECK_H

#include <antcache.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A call that must come to a status. */
#define IS(expected, call)                                                                                             \
    do {                                                                                                               \
        int32_t got_ = (int32_t)(call);                                                                                \
        if (got_ != (int32_t)(expected)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n  gave %d, %s\n", __FILE__, __LINE__, #call, (int)got_, antcache_status_str(got_)); \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define OK(call) IS(ANTCACHE_OK, call)

/* What must hold. */
#define HOLDS(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The bytes and the length of a literal. */
#define B(text) (text), (sizeof(text) - 1)

/* Whether bytes are those of a literal. */
#define SAME(data, len, text) ((len) == sizeof(text) - 1 && memcmp((data), (text), (len)) == 0)

#endif
