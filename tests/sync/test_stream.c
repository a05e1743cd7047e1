/* SPDX-License-Identifier: Apache-2.0 */
/* The streamed form between engines that are run step by step: what it costs, what it finds, what it does not
 * believe. */
#include "manual.h"
#include "support/track.h"
#include "sync/engine.h"
#include "sync/stream.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST 3

typedef struct scene scene;
struct scene {
    node nodes[MOST];
    manual_host *hosts[MOST];
    eid_database *notes; /* node 0's */
    eid_id id;
    /* Changes the answer to a question of the streamed form. */
    eid_status (*twist)(scene *s, const eid_stream_request *request, eid_buf *answer);
    size_t asker;            /* whose requests are counted */
    size_t streamed, others; /* of them */
    eid_buf kept;            /* the last question */
    int number;              /* of a case */
};

static eid_status on_twist(const char *address, eid_slice body, eid_buf *answer, void *ctx)
{
    scene *s = ctx;
    eid_stream_request request;
    (void)address;
    if (body.len == 0 || body.data[0] == '{') {
        s->others++;
        return EID_OK;
    }
    tu_assert_ok(eid_stream_request_read(body, &request));
    s->streamed += eid_pubkey_equal(&request.device, &s->nodes[s->asker].sync->device);
    if (request.kind != EID_STREAM_PUSH) {
        eid_buf_reset(&s->kept);
        eid_buf_append_slice(&s->kept, body);
    }
    eid_status status = s->twist != NULL ? s->twist(s, &request, answer) : EID_OK;
    eid_stream_request_free(&request);
    return status;
}

static int set_up(void **state)
{
    static const char *const names[MOST] = {"0", "1", "2"};
    scene *s = calloc(1, sizeof *s);
    eid_buf_init(&s->kept, 8u << 20);
    for (size_t i = 0; i < MOST; i++) {
        node_open_bare(&s->nodes[i], names[i]);
        s->hosts[i] = manual_attach(&s->nodes[i], NULL);
        manual_set_streams(s->hosts[i], true);
        manual_set_twist(s->hosts[i], on_twist, s);
    }
    for (size_t i = 0; i < MOST; i++)
        for (size_t k = 0; k < MOST; k++)
            if (i != k)
                manual_add(s->hosts[i], names[k], &s->nodes[k]);
    s->notes = node_create(&s->nodes[0], "notes", true);
    node_set_global(s->notes, node_write_10);
    s->id = *eid_database_root_id(s->notes);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;
    eid_database_close(s->notes);
    for (size_t i = 0; i < MOST; i++)
        node_close(&s->nodes[i]);
    eid_buf_free(&s->kept);
    free(s);
    return 0;
}

static void write_many(eid_database *database, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        node_write(database, "key", text);
}

static eid_status sync_with(scene *s, size_t who, const char *whom, eid_sync_result *result)
{
    eid_address *address;
    eid_sync_order order = EID_SYNC_ORDER_INIT;
    s->asker = who;
    tu_assert_ok(eid_address_new("direct", whom, &address));
    const eid_address *list[1] = {address};
    order.addresses = list;
    order.address_count = 1;
    order.database = &s->id;
    eid_status status = eid_sync_order_wait(s->nodes[who].sync, &order, result);
    eid_address_free(address);
    return status;
}

/* Not shared, so that the engine asks nothing by itself. */
static eid_database *open_at(scene *s, size_t who)
{
    eid_database *database;
    node_set_sync(&s->nodes[who], &s->id, true);
    tu_assert_ok(eid_user_open_database(s->nodes[who].user, &s->id, &database));
    node_set_sync(&s->nodes[who], &s->id, false);
    return database;
}

/* ---- What it costs ---- */

static void everything_comes_in_one_answer(void **state)
{
    scene *s = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    write_many(s->notes, 3000, "one of many");
    tu_assert_ok(sync_with(s, 1, "0", &result));
    assert_int_equal(s->streamed, 1);
    assert_true(result.bootstrapped);
    assert_int_equal(result.received, node_count(&s->nodes[0], &s->id));
    assert_int_equal(result.admitted, result.received);
    node_assert_same(&s->nodes[0], &s->nodes[1], &s->id);
}

static void nothing_to_do_is_one_question(void **state)
{
    scene *s = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    write_many(s->notes, 500, "one of many");
    tu_assert_ok(sync_with(s, 1, "0", &result));
    size_t before = s->streamed, bytes = manual_bytes(s->hosts[1]);
    tu_assert_ok(sync_with(s, 1, "0", &result));
    assert_int_equal(s->streamed, before + 1);
    assert_int_equal(result.received + result.sent, 0);
    assert_true(manual_bytes(s->hosts[1]) - bytes < 2000); /* the handshake is most of it */
}

static void both_ways_at_once(void **state)
{
    scene *s = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    tu_assert_ok(sync_with(s, 1, "0", &result));
    eid_database *copy = open_at(s, 1);
    write_many(s->notes, 40, "there");
    write_many(copy, 30, "here");
    tu_assert_ok(sync_with(s, 1, "0", &result));
    assert_int_equal(result.received, 40);
    assert_int_equal(result.sent, 30);
    node_assert_same(&s->nodes[0], &s->nodes[1], &s->id);
    eid_database_close(copy);
}

/* Nothing is remembered of each other: node 2 has the database from node 1. */
static void run_strangers(scene *s, size_t here, size_t there, size_t most_questions, size_t most_bytes)
{
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    write_many(s->notes, 3000, "one of many");
    tu_assert_ok(sync_with(s, 1, "0", NULL));
    node_set_sync(&s->nodes[1], &s->id, true);
    tu_assert_ok(sync_with(s, 2, "1", NULL));
    eid_database *copy = open_at(s, 2);
    write_many(copy, here, "here");
    write_many(s->notes, there, "there");
    size_t before = s->streamed, bytes = manual_bytes(s->hosts[2]);
    tu_assert_ok(sync_with(s, 2, "0", &result));
    assert_int_equal(result.admitted, there);
    assert_int_equal(result.sent, here);
    node_assert_same(&s->nodes[0], &s->nodes[2], &s->id);
    print_message("%zu and %zu differing entries of 3000: %zu questions, %zu bytes with the handshake\n",
                  here, there, s->streamed - before, manual_bytes(s->hosts[2]) - bytes);
    assert_true(s->streamed - before <= most_questions);
    assert_true(manual_bytes(s->hosts[2]) - bytes <= most_bytes);
    eid_database_close(copy);
}

static void one_entry_differs(void **state)
{
    run_strangers(*state, 1, 1, 4, 10240);
}

static void only_the_asker_has_more(void **state)
{
    run_strangers(*state, 3, 0, 2, 10240);
}

static void some_entries_differ(void **state)
{
    run_strangers(*state, 20, 30, 4, 120000);
}

/* More than is worth telling apart: they come twice. */
static void many_entries_differ(void **state)
{
    run_strangers(*state, 600, 700, 8, SIZE_MAX);
}

/* ---- Getting on with others ---- */

static void peers_without_it_notice_nothing(void **state)
{
    scene *s = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    manual_set_streams(s->hosts[1], false);
    write_many(s->notes, 10, "one of many");
    tu_assert_ok(sync_with(s, 1, "0", &result));
    assert_int_equal(s->streamed, 0);
    node_assert_same(&s->nodes[0], &s->nodes[1], &s->id);
    manual_set_streams(s->hosts[1], true);
    write_many(s->notes, 10, "another");
    tu_assert_ok(sync_with(s, 1, "0", &result));
    assert_int_equal(s->streamed, 1);
    assert_int_equal(result.received, 10);
}

/* It spoke the form when it shook hands, and then it did not any more. */
static eid_status forget_form(scene *s, const eid_stream_request *request, eid_buf *answer)
{
    (void)request;
    manual_set_streams(s->hosts[1], false);
    eid_buf_reset(answer);
    return eid_fail(EID_ERR_NETWORK, "Network error: Server returned error: 415 Unsupported Media Type");
}

static eid_status drop_answer(const char *address, eid_slice body, eid_buf *answer, void *ctx)
{
    scene *s = ctx;
    (void)address;
    if (body.len > 0 && body.data[0] != '{')
        return forget_form(s, NULL, answer);
    s->others++;
    return EID_OK;
}

static void push_goes_through_in_either_form(void **state)
{
    scene *s = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    tu_assert_ok(sync_with(s, 1, "0", &result));
    eid_database *copy = open_at(s, 1);
    for (int i = 0; i < 4; i++) {
        manual_set_streams(s->hosts[1], i % 2 == 0);
        write_many(copy, 1500,
                   "a text that is long enough to fill more than one body of a thousand kilobytes, in either "
                   "of the forms, when there are as many");
        tu_assert_ok(sync_with(s, 1, "0", &result));
        assert_int_equal(result.sent, 1500);
        node_assert_same(&s->nodes[0], &s->nodes[1], &s->id);
    }
    eid_database_close(copy);
}

/* ---- Breaking off ---- */

static eid_status cut_in_the_middle(scene *s, const eid_stream_request *request, eid_buf *answer)
{
    (void)s, (void)request;
    answer->len /= 2;
    return eid_fail(EID_ERR_NETWORK, "Network error: the connection was lost");
}

static void what_broke_off_goes_on(void **state)
{
    scene *s = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    write_many(s->notes, 100, "one of many");
    uint64_t all = node_count(&s->nodes[0], &s->id);
    s->twist = cut_in_the_middle;
    assert_int_equal(sync_with(s, 1, "0", &result), EID_ERR_NETWORK);
    uint64_t held = node_count(&s->nodes[1], &s->id);
    assert_true(held > 10 && held < all);
    s->twist = NULL;
    tu_assert_ok(sync_with(s, 1, "0", &result));
    assert_int_equal(result.received, all - held);
    assert_int_equal(result.admitted, all - held);
    node_assert_same(&s->nodes[0], &s->nodes[1], &s->id);
}

/* ---- Lies ---- */

/* The entries of an honest answer, and its head. */
static void take_apart(const eid_buf *answer, eid_slice *frames, size_t most, size_t *count)
{
    eid_slice input = eid_buf_slice(answer), content;
    bool found = true;
    *count = 0;
    while (found) {
        tu_assert_ok(eid_frame_next(&input, &content, &found));
        if (found && eid_frame_is_entry(content)) {
            assert_true(*count < most);
            frames[(*count)++] = content;
        }
    }
}

static eid_status lie(scene *s, const eid_stream_request *request, eid_buf *answer)
{
    eid_slice entries[200];
    size_t count;
    eid_buf honest = *answer;
    (void)request;
    eid_buf_init(answer, 64u << 20);
    take_apart(&honest, entries, 200, &count);
    uint64_t told = count, sent = count;
    bool end = true, state = true, twice = false, other = false, huge = false, behind = false, prints = false;
    size_t repeat = 1;
    switch (s->number) {
    case 0:
        told = count + 1;
        break; /* fewer than told */
    case 1:
        told = count - 1;
        break; /* more than told */
    case 2:
        sent = count - 1;
        break; /* another number at the end */
    case 3:
        end = false;
        break; /* no end */
    case 4:
        state = false;
        break; /* no beginning */
    case 5:
        twice = true;
        break; /* two beginnings */
    case 6:
        other = true;
        told = sent = count + 1;
        break; /* of another database */
    case 7:
        huge = true;
        break; /* a frame without measure */
    case 8:
        behind = true;
        break; /* something behind the end */
    case 9:
        prints = true;
        break; /* what was not asked for */
    case 10:
        repeat = 40;
        told = UINT64_MAX;
        break; /* the same again and again */
    default:
        break;
    }
    if (state)
        eid_stream_write_state(answer, EID_STREAM_FOLLOWS, told);
    if (twice)
        eid_stream_write_state(answer, EID_STREAM_FOLLOWS, told);
    if (prints) {
        eid_bucket buckets[EID_STREAM_GROUPS];
        memset(buckets, 0, sizeof buckets);
        eid_stream_write_prints(answer, 0, buckets);
    }
    for (size_t r = 0; r < repeat; r++)
        for (size_t i = 0; i < count; i++)
            eid_frame_write(answer, entries[i]);
    if (other) {
        eid_database *mine = node_create(&s->nodes[0], "mine", false);
        eid_id id = *eid_database_root_id(mine);
        eid_entry *entry;
        eid_storage *storage = eid_core_storage(s->nodes[0].sync->core);
        int64_t n;
        eid_storage_lock(storage);
        tu_assert_ok(eid_storage_find(storage, &id, &n, NULL));
        tu_assert_ok(eid_storage_load(storage, n, &entry));
        eid_storage_unlock(storage);
        eid_frame_write(answer, eid_slice_of(entry->cbor, entry->cbor_len));
        eid_entry_unref(entry);
        eid_database_close(mine);
    }
    if (huge)
        eid_buf_append(answer, "\x5a\x7f\xff\xff\xff", 5);
    if (end)
        eid_stream_write_end(answer, sent);
    if (behind)
        eid_stream_write_end(answer, sent);
    eid_buf_free(&honest);
    return EID_OK;
}

static void lies_are_not_believed(void **state)
{
    scene *s = *state;
    write_many(s->notes, 90, "one of many");
    s->twist = lie;
    for (s->number = 0; s->number <= 10; s->number++) {
        eid_sync_result result = EID_SYNC_RESULT_INIT;
        eid_status status = sync_with(s, 1, "0", &result);
        if (status == EID_OK)
            fail_msg("lie %d was believed", s->number);
        assert_true(node_count(&s->nodes[1], &s->id) <= node_count(&s->nodes[0], &s->id));
    }
    s->twist = NULL;
    tu_assert_ok(sync_with(s, 1, "0", NULL));
    node_assert_same(&s->nodes[0], &s->nodes[1], &s->id);
}

/* As if all sums were equal. */
static eid_status find_no_difference(scene *s, const eid_stream_request *request, eid_buf *answer)
{
    if (request->kind != EID_STREAM_COMPARE)
        return EID_OK;
    s->number++;
    eid_buf_reset(answer);
    eid_stream_write_state(answer, EID_STREAM_FOLLOWS, 0);
    eid_stream_write_end(answer, 0);
    return EID_OK;
}

/* Two sets of entries with one sum hide nothing: the tips tell that something is missing. */
static void sums_that_collide(void **state)
{
    scene *s = *state;
    s->twist = find_no_difference;
    run_strangers(s, 20, 30, 8, SIZE_MAX);
    assert_int_equal(s->number, 1);
}

static eid_status bring_nothing(scene *s, const eid_stream_request *request, eid_buf *answer)
{
    (void)request;
    eid_buf_reset(answer);
    eid_stream_write_state(answer, (eid_stream_verdict)s->number, 0);
    eid_stream_write_end(answer, 0);
    return EID_OK;
}

/* Who holds nothing can not be told that nothing is missing. */
static void nothing_is_no_bootstrap(void **state)
{
    scene *s = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    s->twist = bring_nothing;
    for (s->number = EID_STREAM_SAME; s->number <= EID_STREAM_UNSURE; s->number++) {
        tu_assert_fails(sync_with(s, 1, "0", &result), EID_ERR_PROTOCOL);
        assert_false(result.bootstrapped);
    }
}

/* Children before their parents, more than can be an accident. */
static eid_status backwards(scene *s, const eid_stream_request *request, eid_buf *answer)
{
    static eid_slice entries[4000];
    size_t count;
    eid_buf honest = *answer;
    (void)s, (void)request;
    eid_buf_init(answer, 64u << 20);
    take_apart(&honest, entries, 4000, &count);
    eid_stream_write_state(answer, EID_STREAM_FOLLOWS, 1000000);
    eid_frame_write(answer, entries[0]);
    for (size_t r = 0; r < 20; r++)
        for (size_t i = count; i-- > 1;)
            if (i % 2 == 0)
                eid_frame_write(answer, entries[i]);
    eid_buf_free(&honest);
    return EID_OK;
}

static void orphans_without_end_are_broken_off(void **state)
{
    scene *s = *state;
    write_many(s->notes, 100, "one of many");
    s->twist = backwards;
    assert_int_not_equal(sync_with(s, 1, "0", NULL), EID_OK);
    s->twist = NULL;
    tu_assert_ok(sync_with(s, 1, "0", NULL));
    node_assert_same(&s->nodes[0], &s->nodes[1], &s->id);
}

/* ---- Access ---- */

static eid_handle_result ask_raw(scene *s, eid_slice body, eid_buf *answer)
{
    eid_request_origin origin = {"http", "127.0.0.1:1", NULL, true, 0};
    eid_source *rest = NULL;
    eid_buf_reset(answer);
    eid_handle_result result = eid_sync_handle(body, &origin, answer, &rest, s->nodes[0].sync);
    assert_null(rest);
    return result;
}

static void assert_refused(scene *s, eid_slice body, const char *words)
{
    eid_buf answer;
    eid_slice content, input;
    eid_stream_message message;
    bool found;
    eid_buf_init(&answer, 1u << 20);
    assert_int_equal(ask_raw(s, body, &answer), EID_HANDLED);
    input = eid_buf_slice(&answer);
    tu_assert_ok(eid_frame_next(&input, &content, &found));
    assert_true(found);
    tu_assert_ok(eid_stream_message_read(content, &message));
    assert_int_equal(message.kind, EID_STREAM_REFUSED);
    char text[512];
    snprintf(text, sizeof text, "%.*s", (int)message.text.len, (const char *)message.text.data);
    if (strstr(text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, words);
    assert_int_equal(input.len, 0);
    eid_buf_free(&answer);
}

/* A proof is good for one question, once, and nobody is served without one where not everybody may read. */
static void strangers_learn_the_same_nothing(void **state)
{
    scene *s = *state;
    eid_database *private = node_create(&s->nodes[0], "private", true);
    eid_database *hidden = node_create(&s->nodes[0], "hidden", false);
    eid_stream_question questions[3] = {{.count = 0}, {.count = 0}, {.count = 0}};
    for (eid_stream_kind kind = EID_STREAM_PULL; kind <= EID_STREAM_LIST; kind++) {
        eid_buf question, body;
        eid_buf_init(&question, 1u << 16);
        eid_buf_init(&body, 1u << 16);
        eid_stream_question_write(&question, kind, &questions[kind - EID_STREAM_PULL]);
        eid_stream_request request = {
            .kind = kind, .device = s->nodes[1].sync->device, .question_bytes = eid_buf_slice(&question)};
        request.database = *eid_database_root_id(private);
        eid_stream_request_write(&body, &request);
        assert_refused(s, eid_buf_slice(&body), "Authentication required");
        request.database = *eid_database_root_id(hidden);
        eid_buf_reset(&body);
        eid_stream_request_write(&body, &request);
        assert_refused(s, eid_buf_slice(&body), "Tree not found");
        request.database.bytes[20] ^= 1;
        eid_buf_reset(&body);
        eid_stream_request_write(&body, &request);
        assert_refused(s, eid_buf_slice(&body), "Tree not found");
        eid_buf_free(&question);
        eid_buf_free(&body);
    }
    eid_database_close(hidden);
    eid_database_close(private);
}

static void questions_can_not_be_played_again(void **state)
{
    scene *s = *state;
    eid_database *private = node_create(&s->nodes[0], "private", true);
    eid_address *address;
    node_list_key(private, &s->nodes[1], node_write_10);
    const eid_id *id = eid_database_root_id(private);
    tu_assert_ok(eid_address_new("direct", "0", &address));
    eid_sync_order order = EID_SYNC_ORDER_INIT;
    const eid_address *list[1] = {address};
    order.addresses = list;
    order.address_count = 1;
    order.database = id;
    order.key = eid_user_default_keypair(s->nodes[1].user);
    tu_assert_ok(eid_sync_order_wait(s->nodes[1].sync, &order, NULL));
    assert_int_equal(node_count(&s->nodes[1], id), node_count(&s->nodes[0], id));
    assert_refused(s, eid_buf_slice(&s->kept), "nonce");
    s->kept.data[s->kept.len - 1] ^= 1; /* another question under the same proof */
    eid_buf answer;
    eid_buf_init(&answer, 1u << 16);
    eid_handle_result result = ask_raw(s, eid_buf_slice(&s->kept), &answer);
    assert_true(result == EID_BODY_MALFORMED || answer.len < 300);
    eid_buf_free(&answer);
    eid_address_free(address);
    eid_database_close(private);
}

static void anything_is_answered(void **state)
{
    scene *s = *state;
    eid_buf answer, body;
    tu_random random = tu_random_seeded(77);
    tu_assert_ok(sync_with(s, 1, "0", NULL));
    eid_buf_init(&answer, 1u << 20);
    eid_buf_init(&body, 1u << 20);
    for (size_t len = 0; len < s->kept.len; len++)
        assert_int_equal(ask_raw(s, eid_slice_of(s->kept.data, len), &answer), EID_BODY_MALFORMED);
    for (int i = 0; i < 3000; i++) {
        eid_buf_reset(&body);
        eid_buf_append_slice(&body, eid_buf_slice(&s->kept));
        for (int k = 0; k < 3; k++)
            body.data[tu_random_below(&random, body.len)] ^= (uint8_t)(1u << tu_random_below(&random, 8));
        eid_handle_result result = ask_raw(s, eid_buf_slice(&body), &answer);
        assert_true(result == EID_HANDLED || result == EID_BODY_MALFORMED);
    }
    eid_buf_free(&answer);
    eid_buf_free(&body);
}

static void a_peer_that_forgot_the_form(void **state)
{
    scene *s = *state;
    manual_set_twist(s->hosts[1], drop_answer, s);
    tu_assert_ok(sync_with(s, 1, "0", NULL));
    assert_true(s->others >= 2); /* the handshake, and the same question in the other form */
    node_assert_same(&s->nodes[0], &s->nodes[1], &s->id);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_comes_in_one_answer),
        TEST(nothing_to_do_is_one_question),
        TEST(both_ways_at_once),
        TEST(one_entry_differs),
        TEST(only_the_asker_has_more),
        TEST(some_entries_differ),
        TEST(many_entries_differ),
        TEST(peers_without_it_notice_nothing),
        TEST(push_goes_through_in_either_form),
        TEST(what_broke_off_goes_on),
        TEST(lies_are_not_believed),
        TEST(sums_that_collide),
        TEST(nothing_is_no_bootstrap),
        TEST(orphans_without_end_are_broken_off),
        TEST(strangers_learn_the_same_nothing),
        TEST(questions_can_not_be_played_again),
        TEST(anything_is_answered),
        TEST(a_peer_that_forgot_the_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
