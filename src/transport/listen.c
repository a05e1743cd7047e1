/* SPDX-License-Identifier: Apache-2.0 */
/* Binding, and the sentences when that fails; see listen.h. */
#include "transport/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128

static eid_status fail_bind(const char *address, int error)
{
    if (error == EADDRINUSE)
        return eid_fail(
            EID_ERR_SERVER_BIND,
            "Failed to bind server to %s: another program already listens there; choose another port, or 0",
            address);
    char text[128] = "";
    return eid_fail(EID_ERR_SERVER_BIND, "Failed to bind server to %s: %s", address,
                    strerror_r(error, text, sizeof text));
}

eid_status eid_listen(const char *bind_address, int *out, char actual[EID_SOCKADDR_TEXT_SIZE])
{
    eid_sockaddr address;
    if (eid_sockaddr_parse(eid_slice_text(bind_address), &address) != EID_OK)
        return eid_fail(
            EID_ERR_SERVER_BIND,
            "Failed to bind server to %s: Invalid address: write a numeric address and a port, such as "
            "127.0.0.1:8080 or [::1]:0",
            bind_address);
    socklen_t len = eid_sockaddr_len(&address);
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_bind(bind_address, errno);
    /* Lets a server restart on its port at once; two listeners on one port remain impossible. */
    int yes = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, &address.any, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &address.any, &len) != 0) {
        eid_status status = fail_bind(bind_address, errno);
        close(fd);
        return status;
    }
    eid_sockaddr_format(&address, actual);
    *out = fd;
    return EID_OK;
}
