/* The protocol without sockets, fed byte by byte and all at once. */
#include "check.h"

static uint64_t now = 1700000000000;

static uint64_t clock_by_hand(void *context) {
    return *(uint64_t *)context;
}

/* All output there is, as a text. */
static const char *output(antcache_session *session) {
    static char text[1 << 20];
    size_t used = 0, len;
    const void *data;
    while (antcache_session_output(session, &data, &len) == ANTCACHE_OK) {
        size_t some = len > 3 ? len - 3 : len; /* not always all of it */
        HOLDS(used + some < sizeof text);
        memcpy(text + used, data, some);
        used += some;
        OK(antcache_session_sent(session, some));
    }
    IS(ANTCACHE_INVALID, antcache_session_sent(session, 1));
    text[used] = 0;
    return text;
}

static antcache_wants turn(antcache_session *session) {
    antcache_wants wants;
    do {
        OK(antcache_session_turn(session, &wants));
    } while (wants.again);
    return wants;
}

int main(void) {
    static const char requests[] = "SET a 1\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\nGET a\r\nNOSUCH\r\n";
    antcache_service_options options;
    antcache_service *service;
    antcache_session *first, *second, *third;
    antcache_wants wants;
    const void *data;
    size_t i, len;
    uint64_t next;

    OK(antcache_service_options_init(&options, sizeof options));
    options.max_sessions = 2;
    options.clock = clock_by_hand;
    options.clock_context = &now;
    OK(antcache_service_new(&options, &service));
    OK(antcache_session_new(service, &first));
    OK(antcache_session_new(service, &second));
    IS(ANTCACHE_REFUSED, antcache_session_new(service, &third));

    IS(ANTCACHE_EMPTY, antcache_session_output(first, &data, &len));
    wants = turn(first);
    HOLDS(wants.read && !wants.close && wants.deadline_ms == UINT64_MAX);
    for (i = 0; i < sizeof requests - 1; i++) {
        OK(antcache_session_feed(first, requests + i, 1));
        wants = turn(first);
    }
    HOLDS(strncmp(output(first), "OK\r\n:2\r\n2\r\nERROR", 16) == 0);

    /* A large value comes out whole; so does a pipeline that is longer than one turn. */
    static char large[200000];
    memset(large, 'x', sizeof large);
    memcpy(large, "SET big ", 8);
    large[sizeof large - 1] = '\n';
    OK(antcache_session_feed(second, large, sizeof large));
    turn(second);
    HOLDS(strcmp(output(second), "OK\n") == 0);
    OK(antcache_session_feed(second, B("GET big\n")));
    turn(second);
    HOLDS(strlen(output(second)) == sizeof large - 8);

    OK(antcache_session_feed(second, B("SET t 1\nPEXPIRE t 10\n")));
    turn(second);
    output(second);
    now += 10;
    OK(antcache_session_feed(second, B("*2\r\n$6\r\nEXISTS\r\n$1\r\nt\r\n")));
    turn(second);
    HOLDS(strcmp(output(second), ":0\r\n") == 0);
    do {
        OK(antcache_service_tick(service, &next));
    } while (next == 0);
    OK(antcache_service_tick(service, NULL));

    /* The end, from either side. The service may go before its sessions. */
    OK(antcache_service_free(service));
    OK(antcache_session_feed(first, B("QUIT\r\n")));
    HOLDS(turn(first).close);
    HOLDS(strcmp(output(first), "OK\r\n") == 0 || strcmp(output(first), "") == 0);
    IS(ANTCACHE_CLOSED, antcache_session_turn(first, &wants));
    IS(ANTCACHE_CLOSED, antcache_session_feed(first, B("PING\r\n")));
    OK(antcache_session_free(first));
    OK(antcache_session_feed(second, B("PING\n")));
    OK(antcache_session_eof(second));
    HOLDS(turn(second).close);
    HOLDS(strcmp(output(second), "PONG\n") == 0);
    IS(ANTCACHE_CLOSED, antcache_session_feed(second, B("PING\n")));
    OK(antcache_session_free(second));

    /* A password: an end for who does not say it in time. */
    options.password = "secret";
    OK(antcache_service_new(&options, &service));
    OK(antcache_session_new(service, &first));
    wants = turn(first);
    HOLDS(wants.deadline_ms == 10000);
    OK(antcache_session_feed(first, B("GET a\n")));
    turn(first);
    HOLDS(strstr(output(first), "authentication required") != NULL);
    now += 10000;
    HOLDS(turn(first).close);
    OK(antcache_session_free(first));
    OK(antcache_service_free(service));
    return 0;
}
