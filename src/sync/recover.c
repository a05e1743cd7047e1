/* SPDX-License-Identifier: Apache-2.0 */
/* What a session does after a failure: the next address of the peer, the next database, or the end. */
#include "base/alloc.h"
#include "sync/engine_int.h"

eid_status eid_session_take_exchange(eid_session *s)
{
    if (s->exchange_status == EID_OK)
        return EID_OK;
    return eid_fail(s->exchange_status, "%s", s->exchange_sentence);
}

static bool is_final(eid_status status)
{
    return status == EID_ERR_NO_MEMORY || status == EID_ERR_CANCELLED || status == EID_ERR_BOOTSTRAP_PENDING ||
           status == EID_ERR_BOOTSTRAP_REJECTED || status == EID_ERR_NO_TRANSPORT_ENABLED;
}

/* Of the way to the peer, not of what it was asked. */
static bool is_of_the_way(eid_status status)
{
    return status == EID_ERR_CONNECTION_FAILED || status == EID_ERR_TIMEOUT || status == EID_ERR_NETWORK ||
           status == EID_ERR_HANDSHAKE_FAILED || status == EID_ERR_PROTOCOL_MISMATCH ||
           status == EID_ERR_NO_TRANSPORT_FOR_ADDRESS || status == EID_ERR_INVALID_ADDRESS;
}

static void go_to_address(eid_session *s, size_t at)
{
    s->address_at = at;
    s->proven = false;
    s->streams = false;
    s->step = eid_step_begin;
    eid_session_forget_item(s);
}

eid_status eid_session_recover(eid_session *s, eid_status status)
{
    bool way = is_of_the_way(status);
    s->lost_way = way;
    if (!s->in_pieces) /* else the transport may still be filling it */
        eid_buf_free(&s->exchange.answer);
    if (is_final(status) || atomic_load(&s->cancelled))
        return status;
    /* One database of several: the others are not to blame. */
    if ((s->call == NULL || s->all_databases) && s->proven && !way && s->item_at < s->item_count) {
        eid_item *item = eid_session_item(s);
        item->over = true;
        item->status = status;
        item->error = eid_strdup(eid_last_error());
        eid_session_forget_item(s);
        s->step = eid_step_next_item;
        return EID_OK;
    }
    if (s->call == NULL && !way)
        return status;
    s->impatience |= !s->patient && !s->proven && way;
    if (s->address_at + 1 < s->address_count) {
        go_to_address(s, s->address_at + 1);
        return EID_OK;
    }
    if (s->impatience && !s->patient && s->address_count > 1) {
        s->patient = true;
        go_to_address(s, 0);
        return EID_OK;
    }
    return status;
}
