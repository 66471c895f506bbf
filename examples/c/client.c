/* A client: typed commands, any command, a pipeline.
 *
 *     cc client.c -o client $(pkg-config --cflags --libs antcache) && ./client 127.0.0.1:8890
 */
#include <antcache.h>
#include <stdio.h>
#include <stdlib.h>

static antcache_error error;

/* Ends the program where a request failed; the error says at which server, in which command, and why. */
static antcache_status must(antcache_status status) {
    if (status < 0) {
        fprintf(stderr, "client: %s\n", error.message);
        exit(1);
    }
    return status;
}

int main(int argc, char **argv) {
    antcache_client_options options;
    antcache_client *client;
    antcache_reply *reply;
    antcache_client_options_init(&options, sizeof options);
    options.read_timeout_ms = 2000;
    must(antcache_client_connect(argc > 1 ? argv[1] : "127.0.0.1:8890", &options, &client, &error));

    /* Typed. */
    void *value;
    size_t len;
    int64_t visits;
    must(antcache_client_set(client, "greeting", 8, "hello", 5, 60 * 1000, 0, &error));
    if (must(antcache_client_get(client, "greeting", 8, &value, &len, &error)) == ANTCACHE_OK) {
        printf("greeting: %.*s\n", (int)len, (const char *)value);
        antcache_free(value);
    }
    must(antcache_client_incr(client, "visits", 6, 1, &visits, &error));
    printf("visits: %ld\n", (long)visits);

    /* Any command; lengths may be left out where all words are text. */
    const void *array[] = {"SETS", "colours", "red", "green", "blue"};
    const void *range[] = {"LRANGE", "colours", "0", "-1"};
    must(antcache_client_command(client, 5, array, NULL, &reply, &error));
    antcache_reply_free(reply);
    must(antcache_client_command(client, 4, range, NULL, &reply, &error));
    for (size_t i = 0; i < reply->count; i++) {
        printf("colour %d: %s\n", (int)i, reply->elements[i].str);
    }
    antcache_reply_free(reply);

    /* A pipeline: a thousand requests for the time of one. */
    int64_t sum = 0;
    for (int i = 0; i < 1000; i++) {
        const void *incr[] = {"INCR", "counter"};
        must(antcache_client_append(client, 2, incr, NULL));
    }
    while (must(antcache_client_get_reply(client, &reply, &error)) == ANTCACHE_OK) {
        sum += reply->integer;
        antcache_reply_free(reply);
    }
    printf("1 + 2 + ... + 1000 = %ld\n", (long)sum);

    /* An error is one of the server's: the connection goes on. */
    const void *wrong[] = {"INCR", "greeting"};
    if (antcache_client_command(client, 2, wrong, NULL, &reply, &error) == ANTCACHE_SERVER_ERROR) {
        printf("as it should: %s\n", error.message);
    }
    antcache_client_free(client);
    return 0;
}
