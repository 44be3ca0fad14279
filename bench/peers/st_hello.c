/* st_hello: the same canned answer as hello_floor on State Threads (libst-dev): one coroutine a connection, one process, one
 * thread. It reads top to bottom as a Cygnet handler does, without parsing HTTP, so it shows what coroutines alone cost above
 * the floor. It waits with epoll where the library was built with it; Debian's was not, so there with poll, whose cost grows
 * with the connections but is shared by all that are ready when the server is busy. usage: st_hello PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <st.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"

enum { BUF_BYTES = 4096, STACK_BYTES = 32768 };

static void *serve(void *arg) {
    st_netfd_t conn = arg;
    char buf[BUF_BYTES];
    size_t have = 0;
    for (;;) {
        ssize_t n = st_read(conn, buf + have, sizeof buf - have, ST_UTIME_NO_TIMEOUT);
        if (n <= 0) break;
        have += (size_t)n;
        char *from = buf, *stop = buf + have, *end;
        while ((end = memmem(from, (size_t)(stop - from), "\r\n\r\n", 4))) {
            from = end + 4;
            if (st_write(conn, ANSWER, sizeof ANSWER - 1, ST_UTIME_NO_TIMEOUT) < 0) goto out;
        }
        have = (size_t)(stop - from);
        if (have == sizeof buf) break;
        memmove(buf, from, have);
    }
out:
    st_netfd_close(conn);
    return NULL;
}

int main(int argc, char **argv) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (argc != 2) return fprintf(stderr, "usage: st_hello PORT\n"), 2;
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, SOMAXCONN) < 0) return perror("listen"), 1;
    st_set_eventsys(ST_EVENTSYS_ALT); /* epoll; without it in the library this is a call without effect */
    if (st_get_eventsys() != ST_EVENTSYS_ALT) st_set_eventsys(ST_EVENTSYS_POLL);
    if (st_init() < 0) return perror("st_init"), 1;
    st_netfd_t listener = st_netfd_open_socket(fd), conn;
    while ((conn = st_accept(listener, NULL, NULL, ST_UTIME_NO_TIMEOUT))) {
        setsockopt(st_netfd_fileno(conn), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!st_thread_create(serve, conn, 0, STACK_BYTES)) st_netfd_close(conn);
    }
    return perror("st_accept"), 1;
}
