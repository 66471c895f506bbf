/* Servers of every shape, and clients of them. */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static antcache_server *start(const char *runtime, const char *architecture, const char *password, char address[32]) {
    const char *settings[] = {"host",         "127.0.0.1",  "port",    "0", "runtime",  runtime,
                              "server", architecture, "workers", "2", "password", password};
    antcache_server *server;
    antcache_error error;
    uint16_t port = 0;
    size_t count = password == NULL ? 10 : 12;
    if (antcache_server_start(settings, count, &server, &error) != ANTCACHE_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    OK(antcache_server_port(server, &port));
    HOLDS(port != 0);
    snprintf(address, 32, "127.0.0.1:%u", (unsigned)port);
    return server;
}

static void commands(const char *address, int32_t protocol) {
    antcache_client_options options;
    antcache_client *client;
    antcache_error error;
    antcache_reply *reply;
    void *value;
    size_t len;
    int64_t sum;
    int i;
    OK(antcache_client_options_init(&options, sizeof options));
    options.protocol = protocol;
    OK(antcache_client_connect(address, &options, &client, &error));
    OK(antcache_client_is_connected(client));

    OK(antcache_client_set(client, B("key"), B("va\0lue"), 60000, 0, &error));
    IS(ANTCACHE_NOT_STORED, antcache_client_set(client, B("key"), B("x"), 0, ANTCACHE_NX, &error));
    OK(antcache_client_set(client, B("key"), B("va\0lue"), 0, ANTCACHE_XX, NULL));
    OK(antcache_client_get(client, B("key"), &value, &len, &error));
    HOLDS(SAME(value, len, "va\0lue"));
    antcache_free(value);
    OK(antcache_client_touch(client, B("key"), 1000, NULL));
    OK(antcache_client_touch(client, B("key"), 0, NULL));
    IS(ANTCACHE_NOT_FOUND, antcache_client_touch(client, B("none"), 1000, NULL));
    OK(antcache_client_delete(client, B("key"), NULL));
    IS(ANTCACHE_NOT_FOUND, antcache_client_delete(client, B("key"), NULL));
    IS(ANTCACHE_NOT_FOUND, antcache_client_get(client, B("key"), &value, &len, NULL));
    HOLDS(antcache_client_delete(client, B("n"), NULL) >= 0);
    OK(antcache_client_incr(client, B("n"), -5, &sum, NULL));
    HOLDS(sum == -5);
    OK(antcache_client_incr(client, B("n"), 6, NULL, NULL));

    const char *ping[] = {"PING"};
    const char *wrong[] = {"INCR", "word"};
    const char *hash[] = {"SETX", "h", "f", "v", "g", ""};
    const char *all[] = {"HGETALL", "h"};
    OK(antcache_client_command(client, 1, (const void *const *)ping, NULL, &reply, &error));
    HOLDS(reply->type == ANTCACHE_REPLY_STATUS && strcmp(reply->str, "PONG") == 0);
    OK(antcache_reply_free(reply));
    OK(antcache_client_set(client, B("word"), B("w"), 0, 0, NULL));
    IS(ANTCACHE_SERVER_ERROR, antcache_client_command(client, 2, (const void *const *)wrong, NULL, &reply, &error));
    HOLDS(error.status == ANTCACHE_SERVER_ERROR && strcmp(error.node, address) == 0);
    HOLDS(strncmp(error.message, "ERR ", 4) == 0);

    OK(antcache_client_append(client, 6, (const void *const *)hash, NULL));
    OK(antcache_client_append(client, 2, (const void *const *)all, NULL));
    OK(antcache_client_append(client, 2, (const void *const *)wrong, NULL));
    for (i = 0; i < 1000; i++) {
        OK(antcache_client_append(client, 1, (const void *const *)ping, NULL));
    }
    OK(antcache_client_flush(client, &error));
    OK(antcache_client_flush(client, &error));
    OK(antcache_client_get_reply(client, &reply, &error));
    OK(antcache_reply_free(reply));
    OK(antcache_client_get_reply(client, &reply, &error));
    HOLDS(reply->type == (protocol == 3 ? ANTCACHE_REPLY_MAP : ANTCACHE_REPLY_ARRAY) && reply->count == 4);
    HOLDS(SAME(reply->elements[0].str, reply->elements[0].len, "f"));
    HOLDS(SAME(reply->elements[1].str, reply->elements[1].len, "v"));
    HOLDS(SAME(reply->elements[3].str, reply->elements[3].len, "") && reply->elements[3].str[0] == 0);
    OK(antcache_reply_free(reply));
    OK(antcache_client_get_reply(client, &reply, &error));
    HOLDS(reply->type == ANTCACHE_REPLY_ERROR);
    OK(antcache_reply_free(reply));
    for (i = 0; i < 1000; i++) {
        OK(antcache_client_get_reply(client, &reply, NULL));
        OK(antcache_reply_free(reply));
    }
    IS(ANTCACHE_EMPTY, antcache_client_get_reply(client, &reply, NULL));
    /* Without a flush of one's own. */
    OK(antcache_client_append(client, 1, (const void *const *)ping, NULL));
    OK(antcache_client_get_reply(client, &reply, NULL));
    OK(antcache_reply_free(reply));
    OK(antcache_client_append(client, 1, (const void *const *)ping, NULL));
    OK(antcache_client_reconnect(client, &error));
    IS(ANTCACHE_EMPTY, antcache_client_get_reply(client, &reply, NULL));
    OK(antcache_client_free(client));
}

static void failures(void) {
    const char *no_such[] = {"prot", "1"}, *no_number[] = {"port", "x"}, *taken[] = {"host", "127.0.0.1", "port", ""};
    antcache_server *server;
    antcache_client_options options;
    antcache_client *client;
    antcache_error error;
    void *value;
    size_t len;
    char address[32];
    IS(ANTCACHE_BAD_SETTINGS, antcache_server_start(no_such, 2, &server, &error));
    HOLDS(strstr(error.message, "port") != NULL);
    IS(ANTCACHE_BAD_SETTINGS, antcache_server_start(no_number, 2, &server, &error));
    IS(ANTCACHE_INVALID, antcache_server_start(no_number, 1, &server, &error));
    server = start("std", "pooled", "secret", address);
    taken[3] = strchr(address, ':') + 1;
    antcache_server *second;
    IS(ANTCACHE_LISTEN, antcache_server_start(taken, 4, &second, &error));
    HOLDS(strstr(error.message, "in use") != NULL);

    OK(antcache_client_options_init(&options, sizeof options));
    OK(antcache_client_connect(address, &options, &client, NULL));
    IS(ANTCACHE_SERVER_ERROR, antcache_client_get(client, B("k"), &value, &len, &error));
    HOLDS(strncmp(error.message, "NOAUTH", 6) == 0);
    OK(antcache_client_free(client));
    options.password = "wrong";
    IS(ANTCACHE_SERVER_ERROR, antcache_client_connect(address, &options, &client, &error));
    options.password = "secret";
    OK(antcache_client_connect(address, &options, &client, &error));
    IS(ANTCACHE_NOT_FOUND, antcache_client_get(client, B("k"), &value, &len, &error));

    OK(antcache_server_stop(server));
    OK(antcache_server_stop(server));
    IS(ANTCACHE_LOST, antcache_client_get(client, B("k"), &value, &len, &error));
    HOLDS(strcmp(error.node, address) == 0 && strstr(error.message, "GET") != NULL);
    IS(ANTCACHE_NOT_CONNECTED, antcache_client_get(client, B("k"), &value, &len, &error));
    IS(ANTCACHE_NOT_CONNECTED, antcache_client_is_connected(client));
    IS(ANTCACHE_CONNECT, antcache_client_reconnect(client, &error));
    OK(antcache_client_free(client));
    IS(ANTCACHE_CONNECT, antcache_client_connect(address, NULL, &client, &error));
    HOLDS(strcmp(error.node, address) == 0);
    IS(ANTCACHE_BAD_SETTINGS, antcache_client_connect("host:port", NULL, &client, &error));
    OK(antcache_server_free(server));
}

static void *stop_it(void *server) {
    OK(antcache_server_stop((antcache_server *)server));
    return NULL;
}

static void signals(void) {
    char address[32];
    pthread_t thread;
    antcache_server *server = start("std", "pooled", NULL, address);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    kill(getpid(), SIGTERM); /* waits until someone takes it */
    OK(antcache_server_run(server));
    OK(antcache_server_free(server));
    /* No signal is left over, and another thread can stop it too. */
    pthread_sigmask(SIG_UNBLOCK, &term, NULL);
    server = start("std", "pooled", NULL, address);
    HOLDS(pthread_create(&thread, NULL, stop_it, server) == 0);
    OK(antcache_server_run(server));
    HOLDS(pthread_join(thread, NULL) == 0);
    OK(antcache_server_free(server));
}

int main(void) {
    static const char *const shapes[][2] = {{"std", "single"}, {"std", "pooled"}, {"smol", "single"}, {"smol", "pooled"}};
    size_t i;
    char address[32];
    for (i = 0; i < 4; i++) {
        antcache_server *server = start(shapes[i][0], shapes[i][1], NULL, address);
        commands(address, i % 2 == 0 ? 2 : 3);
        OK(antcache_server_free(server));
    }
    failures();
    signals();
    return 0;
}
