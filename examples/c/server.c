/* A server inside a program: serves until Ctrl-C.
 *
 *     cc server.c -o server $(pkg-config --cflags --libs antcache) && ./server 8890
 */
#include <antcache.h>
#include <stdio.h>

int main(int argc, char **argv) {
    /* The settings of `ant-cache-cli serve`, by the same names. */
    const char *settings[] = {
        "port", argc > 1 ? argv[1] : "8890", "runtime", "std", "server", "pooled", "workers", "8",
        "max-memory", "64mb",
    };
    antcache_server *server;
    antcache_error error;
    uint16_t port;
    if (antcache_server_start(settings, sizeof settings / sizeof *settings, &server, &error) != ANTCACHE_OK) {
        fprintf(stderr, "server: %s\n", error.message);
        return 1;
    }
    if (antcache_server_port(server, &port) != ANTCACHE_OK) {
        return 1;
    }
    printf("listening on port %u\n", (unsigned)port);
    fflush(stdout);

    /* Whoever has other threads blocks SIGINT and SIGTERM before starting them. */
    antcache_status status = antcache_server_run(server);
    antcache_server_free(server);
    printf("stopped: %s\n", antcache_status_str(status));
    return status == ANTCACHE_OK ? 0 : 1;
}
