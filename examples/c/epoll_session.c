/* The protocol in an event loop of one's own: sessions move bytes, this program moves them to and from sockets.
 *
 *     cc epoll_session.c -o epoll_session $(pkg-config --cflags --libs antcache) && ./epoll_session
 */
#include <antcache.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    int fd;
    antcache_session *session;
    antcache_wants wants;
};

/* Sends what waits; true once nothing does. */
static bool flush(struct connection *c) {
    const void *data;
    size_t len;
    while (antcache_session_output(c->session, &data, &len) == ANTCACHE_OK) {
        ssize_t sent = send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        antcache_session_sent(c->session, (size_t)sent);
    }
    return true;
}

/* Serves one that is ready; false where it has ended. */
static bool serve(int poller, struct connection *c, uint32_t events) {
    static char bytes[16384];
    bool sent;
    if (c->wants.read && (events & EPOLLIN) != 0) {
        ssize_t got = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got > 0) {
            antcache_session_feed(c->session, bytes, (size_t)got);
        } else {
            antcache_session_eof(c->session);
        }
    }
    do {
        if (!c->wants.close && antcache_session_turn(c->session, &c->wants) != ANTCACHE_OK) {
            return false;
        }
        sent = flush(c);
    } while (!c->wants.close && sent && (c->wants.again || !c->wants.read));
    if ((c->wants.close && sent) || (events & (EPOLLERR | EPOLLHUP)) != 0) {
        return false;
    }
    struct epoll_event event;
    event.events = (c->wants.read ? (uint32_t)EPOLLIN : 0) | (sent ? 0 : (uint32_t)EPOLLOUT);
    event.data.ptr = c;
    return epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event) == 0;
}

int main(void) {
    antcache_service *service;
    struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t size = sizeof address;
    struct epoll_event event = {EPOLLIN, {NULL}};
    int poller = epoll_create1(0), door = socket(AF_INET, SOCK_STREAM, 0);
    if (antcache_service_new(NULL, &service) != ANTCACHE_OK || bind(door, (struct sockaddr *)&address, size) != 0 ||
        listen(door, 128) != 0 || getsockname(door, (struct sockaddr *)&address, &size) != 0 ||
        epoll_ctl(poller, EPOLL_CTL_ADD, door, &event) != 0) {
        return 1;
    }
    printf("listening on port %u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        uint64_t next;
        antcache_service_tick(service, &next);
        if (epoll_wait(poller, &event, 1, next < 500 ? (int)next : 500) != 1) {
            continue;
        }
        struct connection *c = (struct connection *)event.data.ptr;
        if (c != NULL) {
            if (!serve(poller, c, event.events)) {
                antcache_session_free(c->session);
                close(c->fd);
                free(c);
            }
            continue;
        }
        c = (struct connection *)calloc(1, sizeof *c);
        c->fd = accept(door, NULL, NULL);
        event.events = EPOLLIN;
        event.data.ptr = c;
        if (antcache_session_new(service, &c->session) != ANTCACHE_OK ||
            epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) != 0 || !serve(poller, c, 0)) {
            antcache_session_free(c->session);
            close(c->fd);
            free(c);
        }
    }
}
