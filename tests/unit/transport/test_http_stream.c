/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of any length over HTTP: made while they are sent, taken while they come, and no faster. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/limits.h"
#include "support/testutil.h"
#include "transport/http_int.h"

#define PIECE 65536
#define MANY  256 /* pieces of a long answer: 16 MiB */

typedef struct scene {
    eid_http_server *server;
    eid_host *host;
    eid_http_client *http;
    atomic_size_t pieces; /* made so far */
    atomic_int closed;
    atomic_bool streamed; /* the last request was of the streamed form */
} scene;

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

/* ---- The server's side ---- */

typedef struct pieces {
    eid_source source;
    size_t left;
    bool fails; /* behind the last one */
    scene *s;
} pieces;

static eid_status read_piece(eid_source *source, eid_buf *out)
{
    pieces *p = (pieces *)(void *)source;
    if (p->left == 0)
        return p->fails ? eid_fail(EID_ERR_IO, "enough") : EID_OK;
    p->left--;
    p->s->pieces++;
    uint8_t *room = eid_buf_reserve(out, PIECE);
    memset(room, 'x', PIECE);
    eid_buf_commit(out, PIECE);
    return EID_OK;
}

static void close_pieces(eid_source *source)
{
    ((pieces *)(void *)source)->s->closed++;
    free(source);
}

static eid_handle_result play(eid_slice body, const eid_request_origin *origin, eid_buf *answer, eid_source **rest, void *ctx)
{
    scene *s = ctx;
    s->streamed = origin->stream;
    eid_buf_append_text(answer, "begin");
    if (!origin->stream || eid_slice_is(body, "short"))
        return EID_HANDLED;
    if (eid_slice_is(body, "fail"))
        return EID_HANDLER_FAILED;
    pieces *p = calloc(1, sizeof *p);
    *p = (pieces){{read_piece, close_pieces}, eid_slice_is(body, "endless") ? SIZE_MAX : MANY, eid_slice_is(body, "broken"), s};
    *rest = &p->source;
    return EID_HANDLED;
}

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof *s);
    tu_assert_ok(eid_http_server_start("127.0.0.1:0", NULL, play, s, &s->server));
    tu_assert_ok(eid_loop_new(&s->host));
    tu_assert_ok(eid_http_client_new(s->host, NULL, &s->http));
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;
    eid_http_client_free(s->http);
    s->host->functions->close(s->host);
    eid_http_server_stop(s->server);
    free(s);
    return 0;
}

/* ---- The client's side ---- */

typedef struct asking {
    eid_exchange exchange;
    scene *s;
    char address[80]; /* of the server, which may be gone before the end */
    bool takes;  /* what comes is taken at once */
    size_t taken;
    atomic_size_t most_held;
    eid_status status;
    atomic_bool over;
} asking;

static void take(asking *a)
{
    a->taken += a->exchange.answer.len;
    eid_buf_reset(&a->exchange.answer);
}

static void on_arrived(eid_exchange *exchange)
{
    asking *a = (asking *)(void *)exchange;
    if (exchange->answer.len > a->most_held)
        a->most_held = exchange->answer.len;
    if (a->takes)
        take(a);
}

static void on_done(eid_exchange *exchange, eid_status status)
{
    asking *a = (asking *)(void *)exchange;
    take(a);
    a->status = status;
    a->over = true;
}

static void run_send(void *ctx)
{
    asking *a = ctx;
    eid_http_client_send(a->s->http, &a->exchange);
}

static void run_take_all(void *ctx)
{
    asking *a = ctx;
    a->takes = true;
    take(a);
    eid_http_client_resume(a->s->http, &a->exchange);
}

static void run_cancel(void *ctx)
{
    asking *a = ctx;
    eid_http_client_cancel(a->s->http, &a->exchange);
}

static void begin(asking *a, scene *s, const char *body, bool stream, bool takes)
{
    memset(a, 0, sizeof *a);
    a->s = s;
    a->takes = takes;
    snprintf(a->address, sizeof a->address, "%s", eid_http_server_address(s->server));
    a->exchange = (eid_exchange){.address = a->address,
                                 .body = eid_slice_text(body),
                                 .answer_max = SIZE_MAX,
                                 .connect_ms = 20000,
                                 .silence_ms = 20000,
                                 .total_ms = 120000,
                                 .stream = stream,
                                 .arrived = stream ? on_arrived : NULL,
                                 .done = on_done};
    eid_buf_init(&a->exchange.answer, 8u << 20);
    eid_loop_call(s->host, run_send, a);
}

static void finish(asking *a)
{
    while (!a->over)
        sleep_ms(1);
    eid_buf_free(&a->exchange.answer);
}

static void wait_for_closed(scene *s, int wanted)
{
    while (s->closed != wanted)
        sleep_ms(1);
}

/* ---- Tests ---- */

static void whole_answers(void **state)
{
    scene *s = *state;
    asking a;
    begin(&a, s, "short", true, true);
    finish(&a);
    tu_assert_ok(a.status);
    assert_int_equal(a.taken, 5);
    assert_true(s->streamed);
    assert_true(a.exchange.peer_streams);
    begin(&a, s, "long", true, true);
    finish(&a);
    tu_assert_ok(a.status);
    assert_int_equal(a.taken, 5 + (size_t)MANY * PIECE);
    wait_for_closed(s, 1);
}

/* The same path, the same handler, and the answer tells what the server speaks. */
static void other_requests_stay_as_they_are(void **state)
{
    scene *s = *state;
    asking a;
    begin(&a, s, "{}", false, true);
    finish(&a);
    tu_assert_ok(a.status);
    assert_false(s->streamed);
    assert_int_equal(a.taken, 5);
    assert_true(a.exchange.peer_streams);
}

/* Who does not take holds the sender up: it makes what fits into buffers on the way, and no more. */
static void nobody_is_flooded(void **state)
{
    scene *s = *state;
    asking a;
    size_t before = 0;
    begin(&a, s, "endless", true, false);
    for (int quiet = 0; quiet < 20; quiet++) {
        sleep_ms(10);
        if (s->pieces != before || before == 0)
            quiet = 0;
        before = s->pieces;
    }
    assert_true(a.most_held >= EID_LIMIT_STREAM_HELD);
    assert_true(a.most_held < EID_LIMIT_STREAM_HELD + (1u << 20));
    eid_loop_call(s->host, run_take_all, &a);
    while (s->pieces < before + 1000)
        sleep_ms(1);
    eid_loop_call(s->host, run_cancel, &a);
    finish(&a);
    assert_int_equal(a.status, EID_ERR_CANCELLED);
    wait_for_closed(s, 1);
}

static void an_answer_that_breaks_off_is_no_answer(void **state)
{
    scene *s = *state;
    asking a;
    begin(&a, s, "broken", true, true);
    finish(&a);
    assert_int_equal(a.status, EID_ERR_NETWORK);
    wait_for_closed(s, 1);
    begin(&a, s, "fail", true, true);
    finish(&a);
    assert_int_equal(a.status, EID_ERR_NETWORK);
    assert_true(a.exchange.peer_streams);
}

/* A server that stops does not wait for the end of what has none. */
static void stopping_breaks_off(void **state)
{
    scene *s = *state;
    asking a;
    begin(&a, s, "endless", true, true);
    while (s->pieces < 10)
        sleep_ms(1);
    char *address = strdup(eid_http_server_address(s->server));
    eid_http_server_stop(s->server);
    finish(&a);
    assert_int_equal(a.status, EID_ERR_NETWORK);
    assert_int_equal(s->closed, 1);
    tu_assert_ok(eid_http_server_start(address, NULL, play, s, &s->server));
    free(address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_requests_stay_as_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_flooded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_breaks_off_is_no_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping_breaks_off, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
