/* SPDX-License-Identifier: Apache-2.0 */
/* Queries on tables against a naive model: random rows, changes, deletions, replaced tables, two peers that exchange their
 * entries late, transactions that stay open while others commit, chosen tips, indexes that come and go, files made anew.
 *
 * The model takes the whole state a transaction sees as one document (which other tests compare with a slow fold), looks at
 * each row, and sorts what fits. Values are drawn from a list that knows their order, so the model compares numbers
 * without knowing how. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eidetica/maintenance.h>
#include <eidetica/memory.h>
#include <eidetica/table.h>

#include "../database/database_test.h"
#include "support/jsondom.h"

/* ---- Values and their order ---- */

typedef struct sample {
    const char *json;
    int rank;     /* equal for equal values */
    int kind;     /* of a bracket: 0 null, 1 truth values, 2 numbers, 3 texts */
} sample;

/* Two texts that differ only far behind what an index holds. */
#define LONG_A "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_DIGITS "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111"

static const sample samples[] = {
    {"null", 0, 0},
    {"false", 1, 1},
    {"true", 2, 1},
    {"-9223372036854775809", 3, 2},
    {"-9223372036854775808", 4, 2},
    {"-9.223372036854775808e18", 4, 2},
    {"-1.5", 5, 2},
    {"-1", 6, 2},
    {"-1.00", 6, 2},
    {"0", 7, 2},
    {"-0.0", 7, 2},
    {"0.1", 8, 2},
    {"1", 9, 2},
    {"10e-1", 9, 2},
    {"9007199254740992", 10, 2},
    {"9007199254740992.5", 11, 2},
    {"9007199254740993", 12, 2},
    {LONG_DIGITS, 13, 2},
    {LONG_DIGITS ".5", 14, 2},
    {"\"\"", 15, 3},
    {"\"a\"", 16, 3},
    {"\"a\\u0000\"", 17, 3},
    {LONG_A "\"", 18, 3},
    {LONG_A "b\"", 19, 3},
    {LONG_A "c\"", 20, 3},
    {"\"ab\"", 21, 3},
    {"\"b\\n\\\"\"", 22, 3},
    {"\"\xc3\xa9\"", 23, 3},
};
#define SAMPLES (sizeof samples / sizeof *samples)
/* What an index takes for one: rows of these come in the order of their keys. */
static int order_of(int rank)
{
    return rank == 14 ? 13 : rank == 19 || rank == 20 ? 18 : rank;
}

static const sample *sample_of(const char *json)
{
    for (size_t i = 0; i < SAMPLES; i++)
        if (strcmp(samples[i].json, json) == 0)
            return &samples[i];
    fail_msg("%s is no sample", json);
    return NULL;
}

/* The text of a sample without its quotes and escapes; free() it. */
static char *plain_text(const sample *s, size_t *len)
{
    jd_node *node = jd_parse(eid_slice_text(s->json));
    eid_slice text = jd_slice(node);
    char *copy = calloc(text.len + 1, 1);
    memcpy(copy, text.data, text.len);
    *len = text.len;
    jd_free(node);
    return copy;
}

/* ---- Rows ---- */

static void random_value(tu_random *random, eid_buf *out)
{
    uint64_t kind = tu_random_below(random, 12);
    if (kind == 0) {
        eid_buf_append_text(out, "{\"x\":1}");
    } else if (kind < 4) {
        eid_buf_append_byte(out, '[');
        for (size_t i = tu_random_below(random, 5); i > 0; i--) {
            eid_buf_append_text(out, tu_random_below(random, 9) == 0 ? "[1]" : samples[tu_random_below(random, SAMPLES)].json);
            eid_buf_append_text(out, i > 1 ? "," : "");
        }
        eid_buf_append_byte(out, ']');
    } else {
        eid_buf_append_text(out, samples[tu_random_below(random, SAMPLES)].json);
    }
}

static char *random_row(tu_random *random)
{
    eid_buf out;
    char *text;
    eid_buf_init(&out, 1 << 20);
    if (tu_random_below(random, 20) == 0) {
        eid_buf_append_text(&out, tu_random_below(random, 2) == 0 ? "[1,2]" : "\"text\"");
    } else {
        eid_buf_append_byte(&out, '{');
        if (tu_random_below(random, 8) > 0) {
            eid_buf_append_text(&out, "\"v\":");
            random_value(random, &out);
            eid_buf_append_byte(&out, ',');
        }
        if (tu_random_below(random, 3) > 0) {
            eid_buf_append_text(&out, "\"in\":{\"v\":");
            random_value(random, &out);
            eid_buf_append_text(&out, "},");
        }
        eid_buf_appendf(&out, "\"z\":%u}", (unsigned)tu_random_below(random, 1000));
    }
    tu_assert_ok(eid_buf_take_text(&out, &text));
    return text;
}

/* ---- The model's answer ---- */

static const char *const fields[] = {NULL, "v", "in.v", "z"};

typedef struct question {
    eid_table_query query;
    const sample *equals, *lower, *upper; /* of a field */
    char *texts[3];
    const char *keys[3];                  /* of keys: the same */
    bool odd_only;                        /* a predicate */
} question;

typedef struct answer {
    const char *key; /* lent by the document */
    const char *row;
    int order;       /* of the value */
} answer;

static bool in_range(const question *q, const sample *s)
{
    const eid_table_query *query = &q->query;
    if (q->equals != NULL)
        return s->rank == q->equals->rank;
    if (query->prefix != NULL) {
        size_t len;
        if (s->kind != 3)
            return false;
        char *text = plain_text(s, &len);
        bool begins = len >= strlen(query->prefix) && memcmp(text, query->prefix, strlen(query->prefix)) == 0;
        free(text);
        return begins;
    }
    if (q->lower != NULL && (query->lower_excluded ? s->rank <= q->lower->rank : s->rank < q->lower->rank))
        return false;
    if (q->upper != NULL && (query->upper_excluded ? s->rank >= q->upper->rank : s->rank > q->upper->rank))
        return false;
    if (q->lower != NULL && q->upper == NULL)
        return s->kind == q->lower->kind;
    if (q->upper != NULL && q->lower == NULL)
        return s->kind == q->upper->kind;
    return true;
}

static bool key_in_range(const question *q, const char *key)
{
    const eid_table_query *query = &q->query;
    if (query->equals.kind != EID_TABLE_NONE)
        return strcmp(key, q->keys[0]) == 0;
    if (query->prefix != NULL)
        return strncmp(key, query->prefix, strlen(query->prefix)) == 0;
    if (query->lower.kind != EID_TABLE_NONE && strcmp(key, q->keys[1]) < (query->lower_excluded ? 1 : 0))
        return false;
    return query->upper.kind == EID_TABLE_NONE || strcmp(key, q->keys[2]) <= (query->upper_excluded ? -1 : 0);
}

static bool is_odd(const char *key, const char *row, size_t len, void *ctx)
{
    (void)key;
    (void)ctx;
    assert_int_equal(strlen(row), len);
    return (row[len - 2] & 1) != 0;
}

/* The places of the row's values that fit: the smallest, or the largest. False when none does. */
static bool judge_field(const question *q, const char *row, int *order)
{
    jd_node *root = jd_parse(eid_slice_text(row));
    const jd_node *node = root;
    bool found = false;
    if (jd_kind_of(node) == JD_OBJECT && strcmp(q->query.field, "in.v") == 0)
        node = jd_get(node, "in");
    if (node != NULL && jd_kind_of(node) == JD_OBJECT)
        node = jd_get(node, "v");
    else
        node = NULL;
    size_t count = node == NULL ? 0 : jd_kind_of(node) == JD_ARRAY ? jd_len(node) : 1;
    for (size_t i = 0; i < count; i++) {
        const jd_node *item = jd_kind_of(node) == JD_ARRAY ? jd_at(node, i) : node;
        if (jd_kind_of(item) == JD_ARRAY || jd_kind_of(item) == JD_OBJECT)
            continue;
        eid_slice source = jd_source(item);
        char *json = strndup((const char *)source.data, source.len);
        const sample *s = sample_of(json);
        free(json);
        int place = order_of(s->rank);
        if (in_range(q, s) && (!found || (q->query.descending ? place > *order : place < *order))) {
            *order = place;
            found = true;
        }
    }
    jd_free(root);
    return found;
}

static bool descending_order;

static int compare_answers(const void *a, const void *b)
{
    const answer *left = a, *right = b;
    int order = left->order != right->order ? (left->order < right->order ? -1 : 1) : strcmp(left->key, right->key);
    return descending_order ? -order : order;
}

static size_t model_answer(const question *q, const eid_doc *doc, answer **out)
{
    const eid_doc_cursor *cursor = NULL;
    const char *key, *row;
    size_t key_len, row_len, count = 0;
    const eid_value *value;
    answer *answers = calloc(eid_doc_len(doc) + 1, sizeof *answers);
    while (eid_doc_next(doc, &cursor, &key, &key_len, &value)) {
        int order = 0;
        if (eid_value_as_text(value, &row, &row_len) != EID_OK)
            continue;
        if (q->query.field == NULL ? !key_in_range(q, key) : !judge_field(q, row, &order))
            continue;
        if (q->odd_only && !is_odd(key, row, row_len, NULL))
            continue;
        answers[count++] = (answer){key, row, order};
    }
    descending_order = q->query.descending;
    qsort(answers, count, sizeof *answers, compare_answers);
    *out = answers;
    return count;
}

/* ---- Questions ---- */

static eid_table_value value_of(const sample *s, char **text)
{
    size_t len;
    if (s->kind == 0)
        return eid_table_null();
    if (s->kind == 1)
        return eid_table_bool(s->rank == 2);
    if (s->kind == 2)
        return strcmp(s->json, "0.1") == 0  ? eid_table_real(0.1)
               : strcmp(s->json, "-1") == 0 ? eid_table_int(-1)
               : s->rank == 4               ? eid_table_int(INT64_MIN)
                                            : eid_table_number(s->json);
    *text = plain_text(s, &len);
    return (eid_table_value){.kind = EID_TABLE_TEXT, .text = *text, .len = len};
}

#define KEYS 40
static const char *key_of(size_t index)
{
    static char keys[KEYS + 2][24];
    snprintf(keys[index], sizeof keys[index], "k%02zu%s", index, index % 3 == 0 ? "x" : "");
    return keys[index];
}

static void ask_about_keys(tu_random *random, question *q)
{
    for (size_t i = 0; i < 3; i++)
        q->keys[i] = key_of(tu_random_below(random, KEYS));
    switch (tu_random_below(random, 4)) {
    case 0:
        q->query.equals = eid_table_text(q->keys[0]);
        break;
    case 1:
        q->query.prefix = tu_random_below(random, 2) == 0 ? "k1" : "k";
        break;
    default:
        if (tu_random_below(random, 2) == 0)
            q->query.lower = eid_table_text(q->keys[1]);
        if (tu_random_below(random, 2) == 0)
            q->query.upper = eid_table_text(q->keys[2]);
        break;
    }
}

static void ask_about_field(tu_random *random, question *q)
{
    const sample *drawn[3];
    for (size_t i = 0; i < 3; i++)
        drawn[i] = &samples[tu_random_below(random, SAMPLES)];
    switch (tu_random_below(random, 5)) {
    case 0:
    case 1:
        q->equals = drawn[0];
        q->query.equals = value_of(drawn[0], &q->texts[0]);
        break;
    case 2:
        q->query.prefix = tu_random_below(random, 2) == 0 ? "a" : tu_random_below(random, 2) == 0 ? "" : "aaaaaaa";
        break;
    default:
        if (tu_random_below(random, 3) > 0) {
            q->lower = drawn[1];
            q->query.lower = value_of(drawn[1], &q->texts[1]);
        }
        if (tu_random_below(random, 3) > 0) {
            q->upper = drawn[2];
            q->query.upper = value_of(drawn[2], &q->texts[2]);
        }
        break;
    }
}

static question random_question(tu_random *random)
{
    question q = {.query = EID_TABLE_QUERY_INIT};
    q.query.field = fields[tu_random_below(random, 3)];
    q.query.descending = tu_random_below(random, 2) == 0;
    q.query.lower_excluded = tu_random_below(random, 2) == 0;
    q.query.upper_excluded = tu_random_below(random, 2) == 0;
    q.odd_only = tu_random_below(random, 5) == 0;
    if (q.odd_only)
        q.query.matches = is_odd;
    if (q.query.field == NULL)
        ask_about_keys(random, &q);
    else
        ask_about_field(random, &q);
    return q;
}

static void question_free(question *q)
{
    for (size_t i = 0; i < 3; i++)
        free(q->texts[i]);
}

/* ---- Comparing ---- */

typedef struct comparison {
    const answer *answers;
    size_t count;
    size_t seen;
    size_t stop_at; /* rows after which the callback stops; 0: never */
    const char *what;
} comparison;

static bool compare_row(const char *key, const char *row, size_t len, void *ctx)
{
    comparison *c = ctx;
    if (c->seen == c->count)
        fail_msg("%s: row %s is too many", c->what, key);
    if (strcmp(key, c->answers[c->seen].key) != 0)
        fail_msg("%s: row %zu of %zu is %s (%s), not %s (%s)", c->what, c->seen, c->count, key, row, c->answers[c->seen].key,
                 c->answers[c->seen].row);
    assert_string_equal(row, c->answers[c->seen].row);
    assert_int_equal(strlen(row), len);
    return ++c->seen != c->stop_at;
}

static size_t indexed_answers, scanned_answers;

/* Page by page, each as long as the limit or the callback wants. */
static void compare_pages(tu_random *random, eid_txn *txn, question *q, comparison *c)
{
    char *cursor = NULL;
    do {
        eid_table_result result = EID_TABLE_RESULT_INIT;
        size_t before = c->seen;
        q->query.limit = tu_random_below(random, 3) == 0 ? 0 : 1 + tu_random_below(random, 9);
        q->query.cursor = cursor;
        c->stop_at = tu_random_below(random, 4) == 0 ? c->seen + 1 + tu_random_below(random, 5) : 0;
        tu_assert_ok(eid_table_find(txn, "rows", &q->query, compare_row, c, &result));
        assert_int_equal(result.rows, c->seen - before);
        assert_true(q->query.limit == 0 || result.rows <= q->query.limit);
        assert_true(result.tested >= result.rows || q->query.field == NULL);
        indexed_answers += result.indexed && q->query.field != NULL;
        scanned_answers += !result.indexed;
        eid_free(cursor);
        cursor = result.cursor;
    } while (cursor != NULL);
    if (c->seen != c->count)
        fail_msg("%s: %zu rows instead of %zu", c->what, c->seen, c->count);
}

static void check_queries(tu_random *random, eid_txn *txn, size_t questions, const char *what)
{
    eid_txn_store *store;
    eid_doc *doc;
    uint64_t count;
    size_t rows = 0;
    tu_assert_ok(eid_txn_open_store(txn, "rows", EID_TYPE_TABLE, &store));
    tu_assert_ok(eid_txn_store_all(store, &doc));
    for (size_t i = 0; i < questions; i++) {
        question q = random_question(random);
        answer *answers;
        size_t wanted = model_answer(&q, doc, &answers);
        comparison c = {answers, wanted, 0, 0, what};
        compare_pages(random, txn, &q, &c);
        free(answers);
        question_free(&q);
    }
    question all = {.query = EID_TABLE_QUERY_INIT};
    answer *answers;
    rows = model_answer(&all, doc, &answers);
    comparison c = {answers, rows, 0, 0, what};
    tu_assert_ok(eid_table_scan(txn, "rows", NULL, compare_row, &c));
    assert_int_equal(c.seen, rows);
    tu_assert_ok(eid_table_count(txn, "rows", &count));
    assert_int_equal(count, rows);
    free(answers);
    eid_doc_free(doc);
}

/* ---- Two peers ---- */

#define OPEN_TXNS 3

typedef struct peer {
    char *path; /* NULL: in memory */
    eid_core *core;
    eid_database *database;
    eid_txn *txns[OPEN_TXNS];
} peer;

static void stage(tu_random *random, eid_txn *txn)
{
    const char *key = key_of(tu_random_below(random, KEYS));
    if (tu_random_below(random, 4) == 0) {
        tu_assert_ok(eid_table_delete(txn, "rows", key, NULL));
        return;
    }
    char *row = random_row(random);
    char inserted[EID_ROW_KEY_SIZE];
    if (tu_random_below(random, 12) == 0)
        tu_assert_ok(eid_table_insert(txn, "rows", row, inserted));
    else
        tu_assert_ok(eid_table_set(txn, "rows", key, row));
    eid_free(row);
}

static eid_txn *begin(peer *p)
{
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(p->database, &txn));
    return txn;
}

static void commit_some(tu_random *random, peer *p)
{
    eid_txn *txn = begin(p);
    for (size_t i = tu_random_below(random, 6); i > 0; i--)
        stage(random, txn);
    if (tu_random_below(random, 15) == 0) {
        eid_txn_store *store;
        tu_assert_ok(eid_txn_open_store(txn, "rows", EID_TYPE_TABLE, &store));
        eid_doc_set_atomic((eid_doc *)(uintptr_t)eid_txn_store_delta(store), true);
    }
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static void send(peer *from, peer *to)
{
    size_t count;
    eid_entry **entries = dt_entries(from->core, eid_database_root_id(from->database), &count);
    eid_receipt receipt = dt_receive(to->core, eid_database_root_id(from->database), entries, count);
    assert_int_equal(receipt.refused, 0);
    th_free_entries(entries, count);
}

static void drop_txns(peer *p)
{
    for (size_t i = 0; i < OPEN_TXNS; i++) {
        eid_txn_free(p->txns[i]);
        p->txns[i] = NULL;
    }
}

static void reopen(peer *p)
{
    eid_id id = *eid_database_root_id(p->database);
    if (p->path == NULL)
        return;
    drop_txns(p);
    eid_database_close(p->database);
    eid_core_close(p->core);
    p->core = dt_open(p->path);
    p->database = dt_open_as(p->core, &id, 1);
}

static void toggle_index(tu_random *random, peer *p)
{
    const char *field = fields[1 + tu_random_below(random, 3)];
    eid_status status = eid_table_add_index(p->database, "rows", field);
    if (status == EID_ERR_ALREADY_EXISTS && tu_random_below(random, 2) == 0)
        tu_assert_ok(eid_table_remove_index(p->database, "rows", field));
    else if (status != EID_ERR_ALREADY_EXISTS)
        assert_int_equal(status, EID_OK);
}

/* A transaction at the tips of a random entry's past. */
static void check_past(tu_random *random, peer *p, const char *what)
{
    size_t count;
    eid_entry **entries = dt_entries(p->core, eid_database_root_id(p->database), &count);
    eid_id tip = *eid_entry_id(entries[tu_random_below(random, count)]);
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction_at(p->database, &tip, 1, &txn));
    if (tu_random_below(random, 2) == 0)
        stage(random, txn);
    check_queries(random, txn, 2, what);
    eid_txn_free(txn);
    th_free_entries(entries, count);
}

static void undo_something(peer *p)
{
    eid_storage *storage = eid_core_storage(p->core);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    eid_storage_rollback(storage);
    eid_storage_unlock(storage);
}

static void make_anew(peer *p)
{
    eid_storage *storage = eid_core_storage(p->core);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_reindex(storage));
    eid_storage_unlock(storage);
}

static void check_file(peer *p, unsigned flags, const char *what)
{
    eid_check_report report;
    tu_assert_ok(eid_core_check(p->core, NULL, flags, &report));
    if (report.problems != 0)
        fail_msg("%s: %s", what, report.text);
}

static void one_step(tu_random *random, peer *p, peer *other, const char *what)
{
    size_t which = tu_random_below(random, OPEN_TXNS);
    eid_txn *txn;
    switch (tu_random_below(random, 24)) {
    case 0:
    case 1:
        toggle_index(random, p);
        break;
    case 2:
        send(other, p);
        break;
    case 3:
        reopen(p);
        break;
    case 4:
        check_past(random, p, what);
        break;
    case 5:
        check_file(p, tu_random_below(random, 2) == 0 ? EID_CHECK_REPAIR : EID_CHECK_DEFAULT, what);
        break;
    case 6:
        make_anew(p);
        break;
    case 7:
        undo_something(p);
        break;
    case 8:
    case 9:
    case 10:
        eid_txn_free(p->txns[which]);
        p->txns[which] = begin(p);
        break;
    case 11:
    case 12:
    case 13:
        if (p->txns[which] != NULL)
            stage(random, p->txns[which]);
        break;
    case 14:
        if (p->txns[which] != NULL)
            tu_assert_ok(eid_txn_commit_free(p->txns[which], NULL));
        p->txns[which] = NULL;
        break;
    case 15:
    case 16:
    case 17:
    case 18:
        if (p->txns[which] != NULL)
            check_queries(random, p->txns[which], 2, what);
        break;
    case 19:
        txn = begin(p);
        check_queries(random, txn, 2, what);
        eid_txn_free(txn);
        break;
    default:
        commit_some(random, p);
        break;
    }
}

static void peer_close(peer *p)
{
    drop_txns(p);
    eid_database_close(p->database);
    eid_core_close(p->core);
    free(p->path);
}

static void run_history(uint64_t seed, char *dir)
{
    tu_random random = {seed * 0x9E3779B97F4A7C15u + 1};
    char what[64];
    snprintf(what, sizeof what, "history %llu", (unsigned long long)seed);
    peer peers[2] = {{.path = NULL}, {.path = NULL}};
    if (seed % 4 == 0) {
        char name[32];
        snprintf(name, sizeof name, "%llu.db", (unsigned long long)seed);
        peers[0].path = tu_path(dir, name);
    }
    peers[0].core = peers[0].path == NULL ? dt_memory() : dt_open(peers[0].path);
    peers[0].database = dt_create(peers[0].core);
    commit_some(&random, &peers[0]);
    peers[1].core = dt_memory();
    size_t count;
    const eid_id *id = eid_database_root_id(peers[0].database);
    eid_entry **entries = dt_entries(peers[0].core, id, &count);
    dt_receive(peers[1].core, id, entries, count);
    th_free_entries(entries, count);
    peers[1].database = dt_open_as(peers[1].core, id, 1);
    for (size_t i = 0; i < 150; i++) {
        size_t who = tu_random_below(&random, 2);
        one_step(&random, &peers[who], &peers[1 - who], what);
    }
    send(&peers[0], &peers[1]);
    send(&peers[1], &peers[0]);
    for (size_t i = 0; i < 2; i++) {
        eid_txn *txn = begin(&peers[i]);
        check_queries(&random, txn, 10, what);
        eid_txn_free(txn);
        check_file(&peers[i], EID_CHECK_DEFAULT, what);
    }
    peer_close(&peers[0]);
    peer_close(&peers[1]);
}

static void queries_are_what_the_model_says(void **state)
{
    char *dir = tu_temp_dir();
    tu_random seeds = tu_random_seeded(4);
    const char *histories = getenv("EID_TEST_HISTORIES");
    uint64_t count = histories == NULL ? 60 : strtoull(histories, NULL, 10);
    uint64_t first = tu_random_below(&seeds, 1000000) * 4;
    (void)state;
    for (uint64_t i = 0; i < count; i++)
        run_history(first + i, dir);
    printf("%zu answers by index, %zu without\n", indexed_answers, scanned_answers);
    assert_true(indexed_answers > count * 10 && scanned_answers > count * 10);
    tu_temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_are_what_the_model_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
