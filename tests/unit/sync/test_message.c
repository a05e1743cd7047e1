/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of reading that no recorded body shows, failing memory at every step, and cost that grows with the
 * size only. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/jsondom.h"
#include "support/testutil.h"
#include "sync/message.h"
#include "sync/sync_int.h"
#include <eidetica/memory.h>

#define KEY  "ed25519:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
#define TREE "bafyr4ie5v6rlw3tkyo3d7c62ncedv3it36xsjb7ej7vyntrkq6hl7g7gz4"

/* ---- Shapes ---- */

static void requests_of_odd_shape(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        eid_status status;
    } cases[] = {
        /* Any order, unknown members anywhere, escapes in names. */
        {"{\"SyncTree\":{\"x\":[{\"our_tips\":1}],\"our_tips\":[],\"tree_id\":\"" TREE "\"}}", EID_OK},
        {"{\"SyncTree\":{\"\\u006fur_tips\":[],\"tree_id\":\"" TREE "\"}}", EID_OK},
        {" \n{ \"SendEntries\" : [ ] } \t", EID_OK},
        /* Known members may stand once. */
        {"{\"SyncTree\":{\"our_tips\":[],\"our_tips\":[],\"tree_id\":\"" TREE "\"}}", EID_ERR_DUPLICATE_KEY},
        {"{\"SyncTree\":{\"our_tips\":[],\"auth\":null,\"auth\":null,\"tree_id\":\"" TREE "\"}}",
         EID_ERR_DUPLICATE_KEY},
        /* Records written as arrays: the Rust reader takes them, nobody writes them, we do not. */
        {"{\"SyncTree\":[\"" TREE "\",[],null,null,null,null,null,null]}", EID_ERR_WRONG_TYPE},
        {"{\"Handshake\":[]}", EID_ERR_WRONG_TYPE},
        /* Numbers. */
        {"{\"Handshake\":{\"protocol_version\":4294967296}}", EID_ERR_RANGE},
        {"{\"Handshake\":{\"protocol_version\":0.0}}", EID_ERR_WRONG_TYPE},
        {"{\"Handshake\":{\"protocol_version\":\"0\"}}", EID_ERR_WRONG_TYPE},
        {"{\"Handshake\":{\"challenge\":[256]}}", EID_ERR_RANGE},
        {"{\"Handshake\":{\"challenge\":[-1]}}", EID_ERR_RANGE},
        {"{\"Handshake\":{\"challenge\":null}}", EID_ERR_WRONG_TYPE},
        {"{\"Handshake\":{\"display_name\":7}}", EID_ERR_WRONG_TYPE},
        {"{\"Handshake\":{\"display_name\":\"a\\u0000b\"}}", EID_ERR_WRONG_TYPE},
        {"{\"Handshake\":{\"listen_addresses\":[{\"transport_type\":\"http\"}]}}", EID_ERR_MISSING_FIELD},
        {"{\"Handshake\":{\"listen_addresses\":[[\"http\",\"x\"]]}}", EID_ERR_WRONG_TYPE},
        {"{\"Handshake\":{\"device_id\":\"ed25519:AAAA\"}}", EID_ERR_INVALID_KEY},
        {"{\"SyncTree\":{\"tree_id\":null}}", EID_ERR_WRONG_TYPE},
        {"{\"SyncTree\":{\"our_tips\":[\"x\"]}}", EID_ERR_INVALID_ID},
        {"{\"SyncTree\":{\"our_tips\":null}}", EID_ERR_WRONG_TYPE},
        {"{\"SyncTree\":{\"auth\":{\"key\":\"" KEY "\",\"timestamp_ms\":-1}}}", EID_ERR_RANGE},
        {"{\"SyncTree\":{\"metadata\":{\"_v\":1,\"children\":{}}}}", EID_ERR_VERSION},
        /* Variants. */
        {"[]", EID_ERR_SYNTAX},
        {"7", EID_ERR_SYNTAX},
        {"true", EID_ERR_SYNTAX},
        {"\"Nothing\"", EID_ERR_WRONG_TYPE},
        {"{\"SendEntries\":[],\"x\":1}", EID_ERR_SYNTAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eid_sync_request request;
        eid_status status = eid_request_read(eid_slice_text(cases[i].body), &request);
        if (status != cases[i].status)
            fail_msg("%s: %s (%s)", cases[i].body, eid_status_name(status), eid_last_error());
        if (status == EID_OK)
            eid_request_free(&request);
    }
}

static void entries_name_their_place(void **state)
{
    (void)state;
    eid_sync_response response;
    tu_assert_fails(
        eid_response_read(eid_slice_text("{\"Incremental\":{\"missing_entries\":[{\"x\":1}]}}"), &response),
        EID_ERR_MISSING_FIELD);
    assert_non_null(strstr(eid_last_error(), "missing_entries, item 0"));
}

static void unknown_variants_are_cut(void **state)
{
    (void)state;
    eid_sync_response response;
    char body[400];
    memset(body, 'x', sizeof body);
    body[0] = '"';
    body[sizeof body - 2] = '"';
    body[sizeof body - 1] = '\0';
    tu_assert_fails(eid_response_read(eid_slice_text(body), &response), EID_ERR_WRONG_TYPE);
    assert_true(strlen(eid_last_error()) < 120);
}

/* ---- Failing memory ---- */

/* A recorded message, read and written again with memory failing at each step. */
typedef struct round_trip {
    eid_slice text;
    bool response;
} round_trip;

static eid_status read_and_write(void *ctx)
{
    round_trip *r = ctx;
    eid_sync_request request;
    eid_sync_response response;
    eid_buf buf;

    if (r->response)
        EID_TRY(eid_response_read(r->text, &response));
    else
        EID_TRY(eid_request_read(r->text, &request));
    eid_buf_init(&buf, 1u << 20);
    if (r->response) {
        eid_response_write(&buf, &response);
        eid_response_free(&response);
    } else {
        eid_request_write(&buf, &request);
        eid_request_free(&request);
    }
    eid_status status = eid_buf_status(&buf);
    if (status == EID_OK)
        assert_true(eid_slice_equal(eid_buf_slice(&buf), r->text));
    eid_buf_free(&buf);
    return status;
}

static void failing_memory(void **state)
{
    (void)state;
    static const char *const kinds[] = {"requests", "responses"};
    jd_node *root = jd_load("sync_messages.json");
    tu_alloc_install();
    for (int k = 0; k < 2; k++) {
        const jd_node *cases = jd_need(root, kinds[k]);
        for (size_t i = 0; i < jd_len(cases); i++) {
            round_trip r = {jd_slice(jd_need(jd_at(cases, i), "json_text")), k == 1};
            assert_true(tu_alloc_fault_loop(read_and_write, &r) >= 1);
        }
    }
    tu_alloc_remove();
    jd_free(root);
}

/* ---- Cost ---- */

/* Of the processor, not of the clock on the wall: others may be at work. */
static double seconds_to_read(size_t entries, const eid_entry *entry)
{
    struct timespec from, to;
    eid_sync_request request;
    eid_buf body;
    bool first = true;
    eid_buf_init(&body, 1u << 30);
    eid_request_write_entries_begin(&body);
    for (size_t i = 0; i < entries; i++)
        eid_message_write_item(&body, entry, &first);
    eid_request_write_entries_end(&body);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    tu_assert_ok(eid_request_read(eid_buf_slice(&body), &request));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    assert_int_equal(request.as.entries.count, entries);
    eid_request_free(&request);
    eid_buf_free(&body);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

static double best_of_three(size_t entries, const eid_entry *entry)
{
    double best = seconds_to_read(entries, entry);
    for (int i = 0; i < 2; i++) {
        double again = seconds_to_read(entries, entry);
        best = again < best ? again : best;
    }
    return best;
}

/* Twenty times the entries may take twenty times as long, not four hundred times. */
static void cost_is_linear(void **state)
{
    (void)state;
    jd_node *root = jd_load("sync_messages.json");
    const jd_node *cases = jd_need(root, "requests");
    eid_sync_request request;
    tu_assert_ok(eid_request_read(jd_slice(jd_need(jd_at(cases, jd_len(cases) - 1), "json_text")), &request));
    assert_int_equal(request.kind, EID_REQUEST_SEND_ENTRIES);
    const eid_entry *entry = request.as.entries.items[0];
    double small = best_of_three(500, entry);
    double large = best_of_three(10000, entry);
    if (large > small * 120)
        fail_msg("500 entries took %f s, 10000 took %f s", small, large);
    eid_request_free(&request);
    jd_free(root);
}

/* ---- Records of requests for access ---- */

static const char *const rows[] = {
    "{\"tree_id\":\"" TREE "\",\"requesting_pubkey\":\"" KEY
    "\",\"requesting_key_name\":\"k\",\"requested_permission\":"
    "{\"Write\":10},\"timestamp\":\"2026-11-23T09:49:38.563553899+00:00\",\"status\":\"Pending\",\"peer_"
    "address\":"
    "{\"transport_type\":\"unknown\",\"address\":\"unknown\"},\"metadata\":{\"children\":{\"note\":{\"Text\":"
    "\"let me "
    "in\"}}}}",
    "{\"tree_id\":\"" TREE "\",\"requesting_pubkey\":\"" KEY
    "\",\"requesting_key_name\":\"k\",\"requested_permission\":"
    "\"Read\",\"timestamp\":\"t\",\"status\":{\"Approved\":{\"approved_by\":\"*\",\"approval_time\":\"u\"}},"
    "\"peer_address\":{\"transport_type\":\"http\",\"address\":\"1.2.3.4:5\"},\"metadata\":null}",
    "{\"tree_id\":\"" TREE "\",\"requesting_pubkey\":\"" KEY
    "\",\"requesting_key_name\":\"\",\"requested_permission\":"
    "{\"Admin\":0},\"timestamp\":\"t\",\"status\":{\"Rejected\":{\"rejected_by\":\"x\",\"rejection_time\":"
    "\"u\"}},"
    "\"peer_address\":{\"transport_type\":\"http\",\"address\":\"1.2.3.4:5\"},\"metadata\":null}",
};

static eid_status row_there_and_back(void *ctx)
{
    eid_slice row = eid_slice_text(ctx);
    eid_request_record record;
    eid_buf buf;
    EID_TRY(eid_request_record_read(row, &record));
    eid_buf_init(&buf, 1u << 20);
    eid_request_record_write(&buf, &record);
    eid_request_record_free(&record);
    eid_status status = eid_buf_status(&buf);
    if (status == EID_OK)
        assert_true(eid_slice_equal(eid_buf_slice(&buf), row));
    eid_buf_free(&buf);
    return status;
}

static void request_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        tu_assert_ok(row_there_and_back((void *)(uintptr_t)rows[i]));
    tu_alloc_install();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(tu_alloc_fault_loop(row_there_and_back, (void *)(uintptr_t)rows[i]) >= 4);
    tu_alloc_remove();
}

static void request_records_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *status_text;
        eid_status status;
    } cases[] = {
        {"\"Approved\"", EID_ERR_WRONG_TYPE},
        {"{}", EID_ERR_WRONG_TYPE},
        {"{\"Other\":{}}", EID_ERR_WRONG_TYPE},
        {"{\"Approved\":{}}", EID_ERR_MISSING_FIELD},
        {"{\"Approved\":{\"approved_by\":\"a\",\"approval_time\":\"t\"},\"x\":1}", EID_ERR_WRONG_TYPE},
        {"null", EID_ERR_WRONG_TYPE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eid_request_record record;
        eid_buf row;
        eid_buf_init(&row, 10000);
        eid_buf_appendf(
            &row,
            "{\"tree_id\":\"" TREE "\",\"requesting_pubkey\":\"" KEY
            "\",\"requesting_key_name\":\"k\",\"requested_permission\":\"Read\",\"timestamp\":\"t\","
            "\"peer_address\":{\"transport_type\":\"a\",\"address\":\"b\"},\"status\":%s}",
            cases[i].status_text);
        eid_status status = eid_request_record_read(eid_buf_slice(&row), &record);
        if (status != cases[i].status)
            fail_msg("%s: %s (%s)", cases[i].status_text, eid_status_name(status), eid_last_error());
        eid_buf_free(&row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_odd_shape),
        cmocka_unit_test(entries_name_their_place),
        cmocka_unit_test(unknown_variants_are_cut),
        cmocka_unit_test(failing_memory),
        cmocka_unit_test(cost_is_linear),
        cmocka_unit_test(request_records),
        cmocka_unit_test(request_records_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
