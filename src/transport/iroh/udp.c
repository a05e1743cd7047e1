/* SPDX-License-Identifier: Apache-2.0 */
/* UDP sockets as carriers, with the kernel's segmentation both ways (UDP_SEGMENT, UDP_GRO) where it has it:
 * one call for up to 64 datagrams. */
#include "transport/iroh/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define ECN_BITS 3

typedef struct udp_carrier {
    eid_iroh_carrier base;
    uv_poll_t poll;
    int fd;
    bool segments;        /* the kernel cuts batches */
    eid_sockaddr kept_to; /* the batch that waits for the socket */
    eid_iroh_batch kept;
    uint8_t kept_data[EID_LIMIT_IROH_BATCH];
    uint8_t received[EID_LIMIT_IROH_BATCH];
} udp_carrier;

/* Room for one control message of an int and one of a uint16_t or int. */
typedef union control_room {
    struct cmsghdr align;
    uint8_t bytes[2 * CMSG_SPACE(sizeof(int))];
} control_room;

static udp_carrier *udp_of(eid_iroh_carrier *carrier)
{
    return (udp_carrier *)(void *)carrier;
}

/* ---- Sending ---- */

static void add_control(struct msghdr *message, int level, int type, const void *value, size_t len)
{
    struct cmsghdr *control =
        (struct cmsghdr *)(void *)((uint8_t *)message->msg_control + message->msg_controllen);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(control), value, len);
    message->msg_controllen += CMSG_SPACE(len);
}

/* 0 or an errno. */
static int send_piece(const udp_carrier *udp, const eid_sockaddr *to, const eid_iroh_batch *piece)
{
    control_room room;
    struct iovec data = {(void *)(uintptr_t)piece->data, piece->len};
    struct msghdr message = {.msg_name = (void *)(uintptr_t)to,
                             .msg_namelen = eid_sockaddr_len(to),
                             .msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = room.bytes};
    bool v6 = to->any.sa_family == AF_INET6;
    int ecn = piece->ecn & ECN_BITS;
    uint16_t segment = (uint16_t)piece->segment;
    memset(&room, 0, sizeof room);
    if (ecn != 0)
        add_control(&message, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &ecn, sizeof ecn);
    if (piece->len > piece->segment)
        add_control(&message, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    ssize_t sent;
    do
        sent = sendmsg(udp->fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

/* Sends from the front of the batch, which afterwards is what the socket has no room for yet; true when
 * nothing is left. Other errors (no route, a refused port, too large for the path) are losses, which QUIC
 * sees as such. */
static bool send_batch(udp_carrier *udp, const eid_sockaddr *to, eid_iroh_batch *batch)
{
    while (batch->len != 0) {
        eid_iroh_batch piece = *batch;
        if (!udp->segments && piece.len > piece.segment)
            piece.len = piece.segment;
        int error = send_piece(udp, to, &piece);
        if (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS)
            return false;
        /* This kernel, or the device the route leads through, cuts nothing. */
        if (piece.len > piece.segment && (error == EIO || error == EINVAL || error == ENOTSUP)) {
            udp->segments = false;
            continue;
        }
        batch->data += piece.len;
        batch->len -= piece.len;
    }
    return true;
}

static void on_event(uv_poll_t *poll, int status, int events);

static void udp_send(eid_iroh_carrier *carrier, const eid_sockaddr *to, const eid_iroh_batch *batch)
{
    udp_carrier *udp = udp_of(carrier);
    eid_iroh_batch rest = *batch;
    if (send_batch(udp, to, &rest))
        return;
    memcpy(udp->kept_data, rest.data, rest.len);
    udp->kept = rest;
    udp->kept.data = udp->kept_data;
    udp->kept_to = *to;
    carrier->blocked = true;
    uv_poll_start(&udp->poll, UV_READABLE | UV_WRITABLE, on_event);
}

static void send_kept(udp_carrier *udp)
{
    if (!send_batch(udp, &udp->kept_to, &udp->kept))
        return;
    uv_poll_start(&udp->poll, UV_READABLE, on_event);
    udp->base.blocked = false;
    eid_iroh_carrier_ready(&udp->base);
}

/* ---- Receiving ---- */

static void read_controls(struct msghdr *message, eid_iroh_batch *batch)
{
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        int value = 0;
        if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS)
            batch->ecn = *CMSG_DATA(at) & ECN_BITS;
        else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_TCLASS) {
            memcpy(&value, CMSG_DATA(at), sizeof value);
            batch->ecn = (uint8_t)(value & ECN_BITS);
        } else if (at->cmsg_level == SOL_UDP && at->cmsg_type == UDP_GRO) {
            memcpy(&value, CMSG_DATA(at), sizeof value);
            if (value > 0 && (size_t)value < batch->len)
                batch->segment = (size_t)value;
        }
    }
}

static bool receive_batch(udp_carrier *udp)
{
    control_room room;
    eid_sockaddr from;
    struct iovec data = {udp->received, sizeof udp->received};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof from,
                             .msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = room.bytes,
                             .msg_controllen = sizeof room.bytes};
    memset(&from, 0, sizeof from);
    ssize_t len = recvmsg(udp->fd, &message, 0);
    if (len < 0)
        /* A port that refused an earlier datagram is told here; the next ones may be from others. */
        return errno == EINTR || errno == ECONNREFUSED;
    eid_iroh_batch batch = {udp->received, (size_t)len, (size_t)len, 0};
    read_controls(&message, &batch);
    if (len > 0)
        eid_iroh_carrier_receive(&udp->base, &from, &batch);
    return true;
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    udp_carrier *udp = poll->data;
    if (status == 0 && (events & UV_WRITABLE) != 0 && udp->base.blocked)
        send_kept(udp);
    /* Bounded, so that timers and other sockets have their turn; what is left is told again. */
    for (int i = 0; i < EID_LIMIT_IROH_RECEIVES && receive_batch(udp);)
        i++;
}

/* ---- Life ---- */

static void free_udp(uv_handle_t *handle)
{
    udp_carrier *udp = handle->data;
    close(udp->fd);
    eid_free(udp);
}

static void udp_close(eid_iroh_carrier *carrier)
{
    udp_carrier *udp = udp_of(carrier);
    uv_poll_stop(&udp->poll);
    uv_close((uv_handle_t *)&udp->poll, free_udp);
}

static const eid_iroh_carrier_functions udp_functions = {.send = udp_send, .close = udp_close};

/* All but the first are wishes: sockets without them work, only slower or without marks of congestion. */
static void set_options(udp_carrier *udp, bool v6)
{
    int yes = 1, probe = v6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE, size = EID_LIMIT_IROH_SOCKET_BUFFER,
        none = 0;
    if (v6) {
        (void)setsockopt(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
        (void)setsockopt(udp->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof probe);
        (void)setsockopt(udp->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &yes, sizeof yes);
    } else {
        (void)setsockopt(udp->fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
        (void)setsockopt(udp->fd, IPPROTO_IP, IP_RECVTOS, &yes, sizeof yes);
    }
    (void)setsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    (void)setsockopt(udp->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(udp->fd, SOL_UDP, UDP_GRO, &yes, sizeof yes);
    udp->segments = setsockopt(udp->fd, SOL_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
}

static eid_status fail_bind(const eid_sockaddr *address, int error)
{
    char text[EID_SOCKADDR_TEXT_SIZE], reason[128] = "";
    eid_sockaddr_format(address, text);
    if (error == EADDRINUSE)
        return eid_fail(EID_ERR_SERVER_BIND,
                        "Failed to bind server to %s: another program already has this UDP port; choose "
                        "another one, or 0",
                        text);
    return eid_fail(EID_ERR_SERVER_BIND, "Failed to bind server to %s: %s", text,
                    strerror_r(error, reason, sizeof reason));
}

eid_status eid_iroh_udp_open(uv_loop_t *loop, const eid_sockaddr *bind_address, eid_iroh_carrier **out)
{
    socklen_t len = sizeof bind_address->v6;
    udp_carrier *udp = eid_alloc(sizeof *udp);
    if (udp == NULL)
        return eid_fail_memory();
    memset(&udp->base, 0, sizeof udp->base);
    udp->base.functions = &udp_functions;
    udp->fd = socket(bind_address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = udp->fd < 0 ? errno : 0;
    if (error == 0) {
        set_options(udp, bind_address->any.sa_family == AF_INET6);
        if (bind(udp->fd, &bind_address->any, eid_sockaddr_len(bind_address)) != 0 ||
            getsockname(udp->fd, &udp->base.local.any, &len) != 0)
            error = errno;
    }
    if (error == 0)
        error = -uv_poll_init(loop, &udp->poll, udp->fd);
    if (error != 0) {
        if (udp->fd >= 0)
            close(udp->fd);
        eid_free(udp);
        return fail_bind(bind_address, error);
    }
    udp->poll.data = udp;
    uv_poll_start(&udp->poll, UV_READABLE, on_event);
    *out = &udp->base;
    return EID_OK;
}
