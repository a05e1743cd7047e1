/* SPDX-License-Identifier: Apache-2.0 */
/* Merged values in parts: the rules one by one in every order of arrival, the records, what a late entry costs, and
 * failures on the way. Random histories are in test_random.c. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "replay.h"
#include "state/cells_int.h"

/* ---- Small histories: writes of one store, each on top of the root ---- */

typedef struct write {
    uint64_t height;
    const char *payload;
} write;

#define MOST 5

static eid_entry *make_root(void)
{
    tu_random random = {5};
    th_shape shape = {.entries = 1, .stores = 0, .keys = 1};
    eid_entry **made = th_generate(&random, &shape), *root = made[0];
    free(made);
    return root;
}

static eid_entry *make_write(const eid_entry *root, const write *w)
{
    eid_entry_builder *builder;
    eid_entry *entry;
    eid_slice payload = eid_slice_text(w->payload);
    tu_assert_ok(eid_entry_builder_new(&root->id, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, &root->id, 1));
    eid_entry_builder_set_height(builder, w->height);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "s", NULL, 0, &payload, NULL));
    tu_assert_ok(eid_entry_builder_finish(builder, NULL, NULL, &entry));
    eid_entry_builder_free(builder);
    return entry;
}

static void build(tm_model *model, const write *writes, size_t count)
{
    eid_entry **entries = calloc(count + 1, sizeof(eid_entry *));
    entries[0] = make_root();
    for (size_t i = 0; i < count; i++)
        entries[i + 1] = make_write(entries[0], &writes[i]);
    tm_build(model, entries, count + 1);
    th_free_entries(entries, count + 1);
}

static bool next_order(size_t *order, size_t count)
{
    size_t i = count - 1;
    while (i > 0 && order[i - 1] > order[i])
        i--;
    if (i == 0)
        return false;
    size_t k = count - 1;
    while (order[k] < order[i - 1])
        k--;
    size_t swap = order[k];
    order[k] = order[i - 1];
    order[i - 1] = swap;
    for (size_t left = i, right = count - 1; left < right; left++, right--) {
        swap = order[left];
        order[left] = order[right];
        order[right] = swap;
    }
    return true;
}

/* Every order of arrival; the state is compared with the plain fold after each entry. `wanted` is the whole in the end. */
static void in_every_order(const char *what, const write *writes, size_t count, const char *wanted)
{
    tm_model model;
    size_t arrival[MOST];
    build(&model, writes, count);
    for (size_t i = 0; i < count; i++)
        arrival[i] = i + 1;
    do {
        replay r;
        eid_storage *storage = rp_open_memory();
        size_t *order = calloc(count + 1, sizeof *order);
        memcpy(order + 1, arrival, count * sizeof *order);
        rp_begin(&r, storage, &model, order, what);
        rp_admit(&r, 1, false);
        for (size_t i = 0; i < count; i++) {
            rp_admit(&r, 1, false);
            rp_check_current(&r);
            rp_check_rows(&r);
        }
        rp_end(&r);
        eid_storage_close(storage);
    } while (next_order(arrival, count));
    bool *all = tm_set(&model, true);
    eid_doc *doc = tm_fold(&model, all, tm_store(&model, eid_slice_text("s")));
    char *text;
    tu_assert_ok(eid_doc_to_json(doc, &text, NULL));
    if (strcmp(text, wanted) != 0)
        fail_msg("%s\n  have %s\n  want %s", what, text, wanted);
    eid_free(text);
    eid_doc_free(doc);
    free(all);
    tm_free(&model);
}

#define DOC(children)  "{\"Doc\":{\"children\":{" children "}}}"
#define ATOM(children) "{\"Doc\":{\"_a\":true,\"children\":{" children "}}}"
#define K(value)       "{\"children\":{\"k\":" value "}}"
#define INT(n)         "{\"Int\":" #n "}"
#define SLOT(above, below, value)                                                                                            \
    "[{\"numerator\":" #above ",\"denominator\":" #below                                                                     \
    ",\"unique_id\":\"00000000-0000-4000-8000-000000000000\"}," value "]"
#define LIST(slots)    "{\"List\":[" slots "]}"

/* The key `k` of these is what the generator's first key is, so the checks of replay.c look at it. */
static const struct {
    const char *what;
    write writes[MOST];
    size_t count;
    const char *wanted;
} rules[] = {
    {"Docs merge leaf by leaf",
     {{1, K(DOC("\"a\":" INT(1) ",\"b\":" INT(1)))}, {2, K(DOC("\"a\":" INT(2)))}, {3, K(DOC("\"c\":" INT(3)))}},
     3,
     K(DOC("\"a\":" INT(2) ",\"b\":" INT(1) ",\"c\":" INT(3)))},
    {"a leaf between Docs ends the first",
     {{1, K(DOC("\"a\":" INT(1)))}, {2, K(INT(7))}, {3, K(DOC("\"b\":" INT(3)))}},
     3,
     K(DOC("\"b\":" INT(3)))},
    {"a tombstone between Docs ends the first",
     {{1, K(DOC("\"a\":" INT(1)))}, {2, K("\"Deleted\"")}, {3, K(DOC("\"b\":" INT(3)))}, {4, K(DOC("\"c\":" INT(4)))}},
     4,
     K(DOC("\"b\":" INT(3) ",\"c\":" INT(4)))},
    {"between a leaf and a Doc another Doc counts",
     {{1, K(DOC("\"z\":" INT(1)))}, {2, K(INT(7))}, {3, K(DOC("\"a\":" INT(3)))}, {4, K(DOC("\"b\":" INT(4)))}, {5, K(DOC("\"c\":" INT(5)))}},
     5,
     K(DOC("\"a\":" INT(3) ",\"b\":" INT(4) ",\"c\":" INT(5)))},
    {"a leaf below a Doc, twice",
     {{1, K(DOC("\"u\":" DOC("\"a\":" INT(1))))},
      {2, K(DOC("\"u\":" INT(2)))},
      {3, K(DOC("\"u\":" DOC("\"b\":" INT(3))))},
      {4, K(DOC("\"u\":\"Deleted\""))},
      {5, K(DOC("\"u\":" DOC("\"c\":" INT(5))))}},
     5,
     K(DOC("\"u\":" DOC("\"c\":" INT(5))))},
    {"an atomic Doc takes all before it and stays atomic",
     {{1, K(DOC("\"a\":" INT(1)))}, {2, K(ATOM("\"b\":" INT(2)))}, {3, K(DOC("\"c\":" INT(3)))}, {4, K(DOC("\"a\":" INT(4)))}},
     4,
     K(ATOM("\"a\":" INT(4) ",\"b\":" INT(2) ",\"c\":" INT(3)))},
    {"what ends an atomic Doc ends its mark",
     {{1, K(ATOM("\"a\":" INT(1)))}, {2, K("\"Deleted\"")}, {3, K(DOC("\"b\":" INT(3)))}},
     3,
     K(DOC("\"b\":" INT(3)))},
    {"an atomic Doc inside a Doc",
     {{1, K(DOC("\"u\":" DOC("\"a\":" INT(1) ",\"v\":" DOC("\"x\":" INT(1)))))},
      {2, K(DOC("\"u\":" ATOM("\"v\":" DOC("\"y\":" INT(2)))))},
      {3, K(DOC("\"u\":" DOC("\"v\":" DOC("\"z\":" INT(3)))))},
      {4, K(ATOM("\"w\":" INT(4)))},
      {5, K(DOC("\"u\":" DOC("\"b\":" INT(5))))}},
     5,
     K(ATOM("\"u\":" DOC("\"b\":" INT(5)) ",\"w\":" INT(4)))},
    {"an atomic Doc inside one that was cut loses its mark only with its place",
     {{1, K(DOC("\"u\":" ATOM("\"a\":" INT(1))))}, {2, K(ATOM(""))}, {3, K(DOC("\"u\":" DOC("\"b\":" INT(3))))}},
     3,
     K(ATOM("\"u\":" DOC("\"b\":" INT(3))))},
    {"an empty Doc keeps a place that was cut",
     {{1, K(DOC("\"u\":" DOC("\"a\":" INT(1))))}, {2, K(DOC("\"u\":\"Deleted\""))}, {3, K(DOC("\"u\":" DOC("")))}},
     3,
     K(DOC("\"u\":" DOC("")))},
    {"a Doc and a List replace each other",
     {{1, K(LIST(SLOT(0, 1, INT(1))))},
      {2, K(DOC("\"a\":" INT(2)))},
      {3, K(LIST(SLOT(1, 1, INT(3))))},
      {4, K(LIST(SLOT(2, 1, INT(4))))},
      {5, K(LIST(SLOT(1, 1, "\"Deleted\"")))}},
     5,
     K(LIST(SLOT(1, 1, "\"Deleted\"") "," SLOT(2, 1, INT(4))))},
    {"a late atomic Doc over a List",
     {{1, K(LIST(SLOT(0, 1, INT(1))))}, {2, K(ATOM("\"a\":" INT(2)))}, {3, K(LIST(SLOT(1, 1, INT(3))))}, {4, K(LIST(SLOT(2, 1, INT(4))))}},
     4,
     K(LIST(SLOT(1, 1, INT(3)) "," SLOT(2, 1, INT(4))))},
    {"Docs in the slots of a List",
     {{1, K(LIST(SLOT(1, 1, DOC("\"a\":" INT(1)))))},
      {2, K(LIST(SLOT(1, 1, INT(2)) "," SLOT(3, 1, INT(2))))},
      {3, K(LIST(SLOT(1, 1, DOC("\"b\":" INT(3)))))},
      {4, K(LIST(SLOT(1, 1, DOC("\"c\":" INT(4)))))}},
     4,
     K(LIST(SLOT(1, 1, DOC("\"b\":" INT(3) ",\"c\":" INT(4))) "," SLOT(3, 1, INT(2))))},
    {"a position keeps the form of its first writer",
     {{1, K(LIST(SLOT(2, 4, INT(1))))}, {2, K(LIST(SLOT(1, 2, INT(2))))}, {3, K(LIST(SLOT(3, 6, INT(3)) "," SLOT(1, 1, INT(3))))}},
     3,
     K(LIST(SLOT(2, 4, INT(3)) "," SLOT(1, 1, INT(3))))},
    {"the first writer behind what ended the List",
     {{1, K(LIST(SLOT(2, 4, INT(1))))}, {2, K("\"Deleted\"")}, {3, K(LIST(SLOT(3, 6, INT(3))))}, {4, K(LIST(SLOT(1, 2, INT(4))))}},
     4,
     K(LIST(SLOT(3, 6, INT(4))))},
    {"the first writer behind a barrier",
     {{1, K(LIST(SLOT(2, 4, INT(1)) "," SLOT(1, 1, INT(1))))},
      {2, "{\"_a\":true,\"children\":{\"ab\":" INT(2) "}}"},
      {3, K(LIST(SLOT(3, 6, INT(3))))},
      {4, K(LIST(SLOT(1, 2, INT(4))))}},
     4,
     "{\"_a\":true,\"children\":{\"ab\":" INT(2) ",\"k\":" LIST(SLOT(3, 6, INT(4))) "}}"},
    {"a barrier among Docs of one key",
     {{1, K(DOC("\"a\":" INT(1)))},
      {2, K(DOC("\"u\":" ATOM("\"b\":" INT(2))))},
      {3, "{\"_a\":true,\"children\":{\"k\":" DOC("\"c\":" INT(3)) ",\"ab\":" INT(3) "}}"},
      {4, K(DOC("\"d\":" INT(4) ",\"u\":" DOC("\"e\":" INT(4))))},
      {5, K(DOC("\"f\":" INT(5)))}},
     5,
     "{\"_a\":true,\"children\":{\"ab\":" INT(3) ",\"k\":" DOC("\"c\":" INT(3) ",\"d\":" INT(4) ",\"f\":" INT(5) ",\"u\":" DOC("\"e\":" INT(4))) "}}"},
};

static void every_rule_in_every_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        in_every_order(rules[i].what, rules[i].writes, rules[i].count, rules[i].wanted);
}

/* Of equal heights the texts of the IDs decide: the same writes at one height, whatever that gives. */
static void every_rule_at_one_height(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        write writes[MOST];
        tm_model model;
        char *wanted;
        for (size_t w = 0; w < rules[i].count; w++)
            writes[w] = (write){9, rules[i].writes[w].payload};
        build(&model, writes, rules[i].count);
        bool *all = tm_set(&model, true);
        eid_doc *doc = tm_fold(&model, all, tm_store(&model, eid_slice_text("s")));
        tu_assert_ok(eid_doc_to_json(doc, &wanted, NULL));
        in_every_order(rules[i].what, writes, rules[i].count, wanted);
        eid_free(wanted);
        eid_doc_free(doc);
        free(all);
        tm_free(&model);
    }
}

/* ---- Records and names ---- */

static const eid_twig samples[] = {
    {.kind = EID_VALUE_INT, .last = {1, 2}},
    {.kind = EID_VALUE_DELETED, .last = {INT64_MAX, INT64_MAX}},
    {.kind = EID_VALUE_DOC, .atomic = true, .has_cut = true, .last = {300, 70000}, .cut = {299, 1}},
    {.kind = EID_VALUE_LIST, .odd = true, .has_cut = true, .last = {300, 70000}, .cut = {0, 0}},
    {.kind = EID_VALUE_TEXT, .has_form = true, .last = {0, 1}, .numerator = -4, .denominator = 6},
    {.kind = EID_VALUE_DOC, .has_form = true, .last = {0, 1}, .numerator = INT64_MIN, .denominator = UINT64_MAX},
};

static void records_are_read_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        eid_twig want = samples[i], have;
        eid_buf record;
        want.text = eid_slice_text("{\"Int\":5}");
        eid_buf_init(&record, 1000);
        eid_twig_write(&record, &want);
        tu_assert_ok(eid_twig_read(eid_buf_slice(&record), &have));
        assert_int_equal(have.kind, want.kind);
        assert_true(have.atomic == want.atomic && have.odd == want.odd && have.has_cut == want.has_cut && have.has_form == want.has_form);
        assert_true(have.last.height == want.last.height && have.last.n == want.last.n);
        assert_true(have.cut.height == want.cut.height && have.cut.n == want.cut.n);
        assert_true(have.numerator == want.numerator && have.denominator == want.denominator);
        assert_true(eid_slice_equal(have.text, want.text));
        /* Cut short inside the numbers, it is refused. */
        for (size_t len = 0; len + want.text.len < record.len; len++)
            tu_assert_fails(eid_twig_read(eid_slice_of(record.data, len), &have), EID_ERR_CORRUPT);
        record.data[0] = 0x80;
        tu_assert_fails(eid_twig_read(eid_buf_slice(&record), &have), EID_ERR_CORRUPT);
        record.data[0] = 0x07;
        tu_assert_fails(eid_twig_read(eid_buf_slice(&record), &have), EID_ERR_CORRUPT);
        eid_buf_free(&record);
    }
}

static void names_tell_places_apart(void **state)
{
    (void)state;
    eid_uuid unique = {{1}}, other = {{2}};
    eid_position half = {1, 2, unique}, quarters = {2, 4, unique}, third = {1, 3, unique}, of_other = {1, 2, other};
    eid_buf a, b;
    uint8_t first[EID_TWIG_HASH], second[EID_TWIG_HASH];
    eid_buf_init(&a, 100);
    eid_buf_init(&b, 100);
    eid_twig_name_slot(&a, &half);
    eid_twig_name_slot(&b, &quarters);
    assert_true(eid_slice_equal(eid_buf_slice(&a), eid_buf_slice(&b)));
    eid_twig_name_slot(&b, &third);
    assert_false(eid_slice_equal(eid_buf_slice(&a), eid_buf_slice(&b)));
    eid_twig_name_slot(&b, &of_other);
    assert_false(eid_slice_equal(eid_buf_slice(&a), eid_buf_slice(&b)));
    /* A key that reads like a slot is a key. */
    eid_twig_name_key(&b, eid_buf_slice(&a));
    assert_false(eid_slice_equal(eid_buf_slice(&a), eid_buf_slice(&b)));
    eid_twig_name_key(&b, eid_slice_text(""));
    assert_true(b.len > 0);

    eid_twig_hash_key(eid_slice_text("k"), first);
    eid_twig_hash_key(eid_slice_text("k"), second);
    assert_memory_equal(first, second, EID_TWIG_HASH);
    eid_twig_hash_child(first, eid_buf_slice(&b), second);
    assert_memory_not_equal(first, second, EID_TWIG_HASH);
    /* A key made of the bytes that are hashed for a child is not that child. */
    eid_buf_reset(&a);
    eid_buf_append(&a, first, EID_TWIG_HASH);
    eid_buf_append_slice(&a, eid_buf_slice(&b));
    eid_twig_hash_key(eid_buf_slice(&a), first);
    assert_memory_not_equal(first, second, EID_TWIG_HASH);
    eid_buf_free(&a);
    eid_buf_free(&b);
}

/* ---- Hot keys ---- */

typedef struct hot {
    eid_storage *storage;
    eid_entry *root;
    eid_tree *tree;
    int64_t n_root;
} hot;

static void hot_admit(hot *h, const eid_entry *entry, eid_status wanted)
{
    eid_state_batch *batch;
    int64_t n;
    tu_assert_ok(eid_storage_begin(h->storage));
    tu_assert_ok(eid_storage_tree_create(h->storage, &h->root->id, &h->tree));
    tu_assert_ok(eid_state_batch_new(h->storage, &batch));
    tu_assert_ok(eid_storage_admit(h->storage, h->tree, entry, &h->n_root, entry == h->root ? 0 : 1, &n));
    assert_int_equal(eid_state_apply(batch, h->tree, entry, n), wanted);
    if (entry == h->root)
        h->n_root = n;
    if (wanted == EID_OK)
        tu_assert_ok(eid_state_batch_finish(batch));
    eid_state_batch_free(batch);
    if (wanted == EID_OK)
        tu_assert_ok(eid_storage_commit(h->storage));
    else
        eid_storage_rollback(h->storage);
}

static void hot_open(hot *h)
{
    *h = (hot){.storage = rp_open_memory(), .root = make_root()};
    eid_storage_lock(h->storage);
    hot_admit(h, h->root, EID_OK);
}

static void hot_close(hot *h)
{
    eid_storage_unlock(h->storage);
    eid_storage_close(h->storage);
    eid_entry_unref(h->root);
}

static eid_entry *hot_write(const hot *h, uint64_t height, bool list, size_t place)
{
    char payload[256];
    const char *form = list ? "{\"children\":{\"k\":{\"List\":[[{\"numerator\":%zu,\"denominator\":1,\"unique_id\":"
                              "\"00000000-0000-4000-8000-000000000000\"},{\"Int\":%llu}]]}}}"
                            : "{\"children\":{\"k\":{\"Doc\":{\"children\":{\"f%zu\":{\"Int\":%llu}}}}}}";
    assert_true(snprintf(payload, sizeof payload, form, place, (unsigned long long)height) < (int)sizeof payload);
    return make_write(h->root, &(write){height, payload});
}

static void hot_add(hot *h, uint64_t height, bool list, size_t place)
{
    eid_entry *entry = hot_write(h, height, list, place);
    hot_admit(h, entry, EID_OK);
    eid_entry_unref(entry);
}

/* Calls of the engine while an entry of this height is applied. */
static uint64_t calls_for(hot *h, uint64_t height, bool list, size_t place)
{
    enum { PLENTY = 1000000 };
    eid_sql *sql = eid_storage_sql(h->storage);
    eid_sql_fail_after(sql, PLENTY);
    hot_add(h, height, list, place);
    uint64_t used = PLENTY - eid_sql_calls_left(sql);
    eid_sql_fail_after(sql, 0);
    return used;
}

/* What an entry costs does not depend on how many touched the key, nor on how large its value is, nor on where it sorts. */
static void a_late_write_costs_what_it_writes(void **state)
{
    (void)state;
    static const size_t sizes[] = {50, 500, 3000};
    for (int list = 0; list < 2; list++) {
        uint64_t calls[3] = {0};
        for (size_t i = 0; i < 3; i++) {
            hot h;
            hot_open(&h);
            for (size_t k = 0; k < sizes[i]; k++)
                hot_add(&h, 2 * k + 2, list != 0, k);
            uint64_t end = calls_for(&h, 2 * sizes[i] - 1, list != 0, 7);
            uint64_t middle = calls_for(&h, sizes[i] | 1, list != 0, 7);
            uint64_t begin = calls_for(&h, 1, list != 0, 7);
            uint64_t in_order = calls_for(&h, 2 * sizes[i] + 2, list != 0, 7);
            assert_true(middle <= end + 2 && begin <= end + 2 && in_order <= end + 2);
            calls[i] = end;
            hot_close(&h);
        }
        print_message("%s: %llu, %llu, %llu calls for a late write\n", list != 0 ? "List" : "Doc", (unsigned long long)calls[0],
                      (unsigned long long)calls[1], (unsigned long long)calls[2]);
        assert_true(calls[0] > 0 && calls[1] <= calls[0] + 2 && calls[2] <= calls[0] + 2);
    }
}

/* ---- The past of hot keys ---- */

static char *key_text(hot *h, int64_t up_to, bool *kept)
{
    eid_tree_store *store;
    eid_view view = {up_to, NULL, 0};
    eid_value *value;
    char *text = NULL;
    tu_assert_ok(eid_storage_store(h->storage, h->tree, eid_slice_text("s"), &store));
    tu_assert_ok(eid_state_child(h->storage, store, &view, eid_slice_text("k"), &value));
    if (value != NULL)
        tu_assert_ok(eid_value_to_json(value, &text, NULL));
    eid_value_free(value);
    eid_cells cells = eid_cells_of(h->storage, store);
    value = NULL;
    tu_assert_ok(eid_kept_read(&cells, eid_slice_text("k"), eid_slice_of(NULL, 0), up_to, kept, &value));
    eid_value_free(value);
    return text;
}

/* Every moment of a key many write in and out of order is read as it was, mostly from what is kept. */
static void the_past_is_kept(void **state)
{
    (void)state;
    enum { WRITES = 120 };
    static const char *const forms[] = {K(DOC("\"a\":{\"Int\":%d}")), K(DOC("\"b\":{\"Int\":%d}")),
                                        K(DOC("\"u\":" DOC("\"a\":{\"Int\":%d}"))), K(DOC("\"u\":" DOC("\"x\":{\"Int\":%d}"))),
                                        K(DOC("\"l\":" LIST(SLOT(1, 1, "{\"Int\":%d}")))), K(DOC("\"u\":" ATOM("\"y\":{\"Int\":%d}")))};
    tu_random random = tu_random_seeded(21);
    size_t known = 0;
    for (int removals = 0; removals < 2; removals++) {
        hot h;
        char *texts[WRITES + 1] = {NULL};
        int64_t n[WRITES + 1] = {0};
        bool kept;
        hot_open(&h);
        for (size_t i = 0; i < WRITES; i++) {
            char payload[256];
            size_t form = (size_t)tu_random_below(&random, removals != 0 ? 6 : 5);
            snprintf(payload, sizeof payload, forms[form], (int)i);
            eid_entry *entry = make_write(h.root, &(write){100 + 2 * i - tu_random_below(&random, 30), payload});
            hot_admit(&h, entry, EID_OK);
            eid_entry_unref(entry);
            n[i] = h.tree->main->newest;
            texts[i] = key_text(&h, n[i], &kept);
        }
        for (size_t i = 0; i < WRITES; i++) {
            char *text = key_text(&h, n[i], &kept);
            assert_string_equal(text, texts[i]);
            known += kept;
            eid_free(text);
        }
        for (size_t i = 0; i < WRITES; i++)
            eid_free(texts[i]);
        hot_close(&h);
    }
    print_message("%zu of %d moments are kept\n", known, 2 * WRITES);
    assert_true(known > WRITES - 10);
}

/* What a transaction that others have left behind reads does not cost more the longer the history is. */
static void a_past_a_little_behind_is_cheap(void **state)
{
    (void)state;
    static const size_t sizes[] = {50, 500, 3000};
    enum { PLENTY = 1000000 };
    uint64_t calls[3];
    for (size_t i = 0; i < 3; i++) {
        hot h;
        eid_tree_store *store;
        eid_value *value = NULL;
        hot_open(&h);
        for (size_t k = 0; k < sizes[i]; k++)
            hot_add(&h, 2 * k + 2, false, k % 40);
        eid_view view = {h.tree->main->newest, NULL, 0};
        for (size_t k = 0; k < 5; k++)
            hot_add(&h, 2 * sizes[i] + 2 + k, false, k);
        eid_sql *sql = eid_storage_sql(h.storage);
        tu_assert_ok(eid_storage_store(h.storage, h.tree, eid_slice_text("s"), &store));
        eid_sql_fail_after(sql, PLENTY);
        tu_assert_ok(eid_state_along(h.storage, store, &view, eid_slice_text("k.f3"), &value));
        calls[i] = PLENTY - eid_sql_calls_left(sql);
        eid_sql_fail_after(sql, 0);
        assert_non_null(value);
        eid_value_free(value);
        hot_close(&h);
    }
    print_message("%llu, %llu, %llu calls for a read in the past\n", (unsigned long long)calls[0], (unsigned long long)calls[1],
                  (unsigned long long)calls[2]);
    assert_true(calls[1] <= calls[0] && calls[2] <= calls[0]);
}

/* An entry that changes one member of "k" and `width` of another key. */
static void add_beside(hot *h, uint64_t height, size_t width)
{
    eid_buf payload;
    eid_buf_init(&payload, EID_LIMIT_ENTRY_BYTES);
    eid_buf_appendf(&payload, "{\"children\":{\"k\":" DOC("\"f3\":{\"Int\":%d}") ",\"wide\":{\"Doc\":{\"children\":{", (int)height);
    for (size_t i = 0; i < width; i++)
        eid_buf_appendf(&payload, "%s\"m%zu\":{\"Int\":%d}", i > 0 ? "," : "", i, (int)height);
    eid_buf_append_text(&payload, "}}}}}");
    eid_buf_append_byte(&payload, 0);
    tu_assert_ok(eid_buf_status(&payload));
    eid_entry *entry = make_write(h->root, &(write){height, (const char *)payload.data});
    hot_admit(h, entry, EID_OK);
    eid_entry_unref(entry);
    eid_buf_free(&payload);
}

/* Nor does it cost more the more the same entries changed of other keys, … */
static void a_past_is_read_without_that_of_other_keys(void **state)
{
    (void)state;
    static const size_t widths[] = {1, 10, 100};
    enum { PLENTY = 1000000 };
    uint64_t calls[3];
    for (size_t i = 0; i < 3; i++) {
        hot h;
        eid_tree_store *store;
        eid_value *value = NULL;
        bool kept;
        hot_open(&h);
        for (size_t k = 0; k < 3; k++)
            add_beside(&h, 2 + k, widths[i]);
        eid_view view = {h.tree->main->newest, NULL, 0};
        char *before = key_text(&h, view.up_to, &kept);
        for (size_t k = 0; k < 20; k++)
            add_beside(&h, 10 + k, widths[i]);
        eid_sql *sql = eid_storage_sql(h.storage);
        tu_assert_ok(eid_storage_store(h.storage, h.tree, eid_slice_text("s"), &store));
        eid_sql_fail_after(sql, PLENTY);
        tu_assert_ok(eid_state_along(h.storage, store, &view, eid_slice_text("k.f3"), &value));
        calls[i] = PLENTY - eid_sql_calls_left(sql);
        eid_sql_fail_after(sql, 0);
        eid_value_free(value);
        char *after = key_text(&h, view.up_to, &kept);
        assert_true(kept);
        assert_string_equal(after, before);
        eid_free(after);
        eid_free(before);
        hot_close(&h);
    }
    print_message("%llu, %llu, %llu calls beside 1, 10, 100 places of another key\n", (unsigned long long)calls[0],
                  (unsigned long long)calls[1], (unsigned long long)calls[2]);
    assert_true(calls[1] == calls[0] && calls[2] == calls[0]);
}

/* … and the removal of parts of another key does not end it. */
static void removing_parts_ends_the_past_of_their_key_alone(void **state)
{
    (void)state;
    hot h;
    bool kept;
    hot_open(&h);
    for (size_t k = 0; k < 3; k++)
        add_beside(&h, 2 + k, 3);
    int64_t then = h.tree->main->newest;
    char *before = key_text(&h, then, &kept), *after;
    eid_entry *removal = make_write(h.root, &(write){20, "{\"children\":{\"wide\":" ATOM("\"x\":" INT(1)) ",\"k\":" DOC("\"f4\":" INT(4)) "}}"});
    eid_entry *own = make_write(h.root, &(write){21, K(ATOM("\"x\":" INT(1)))});
    hot_admit(&h, removal, EID_OK);
    after = key_text(&h, then, &kept);
    assert_true(kept);
    assert_string_equal(after, before);
    eid_free(after);
    hot_admit(&h, own, EID_OK);
    after = key_text(&h, then, &kept);
    assert_false(kept);
    assert_string_equal(after, before);
    eid_free(after);
    eid_free(before);
    eid_entry_unref(removal);
    eid_entry_unref(own);
    hot_close(&h);
}

/* ---- Failures on the way ---- */

static char *state_of(hot *h)
{
    eid_tree_store *store;
    eid_view view = EID_VIEW_CURRENT;
    eid_doc *doc;
    char *text;
    tu_assert_ok(eid_storage_tree(h->storage, &h->root->id, &h->tree));
    tu_assert_ok(eid_storage_store(h->storage, h->tree, eid_slice_text("s"), &store));
    tu_assert_ok(eid_state_doc(h->storage, store, &view, &doc));
    tu_assert_ok(eid_doc_to_json(doc, &text, NULL));
    eid_doc_free(doc);
    return text;
}

static const write troubles[] = {
    {3, K(DOC("\"a\":" INT(9) ",\"u\":" DOC("\"x\":" INT(9))))},
    {3, K(DOC("\"u\":" ATOM("\"x\":" INT(9))))},
    {3, K(ATOM("\"n\":" INT(9)))},
    {3, K("\"Deleted\"")},
    {3, K(DOC("\"l\":" LIST(SLOT(2, 4, INT(9)))))}, /* makes the key odd: it is folded again */
    {9, K(LIST(SLOT(1, 1, INT(9))))},
    {3, "{\"_a\":true,\"children\":{\"k\":" DOC("\"a\":" INT(9)) "}}"},
};

static void trouble_open(hot *h)
{
    static const write before[] = {
        {2, K(DOC("\"a\":" INT(1) ",\"u\":" DOC("\"x\":" INT(1)) ",\"l\":" LIST(SLOT(1, 2, INT(1)))))},
        {4, K(DOC("\"b\":" INT(2) ",\"u\":" DOC("\"y\":" INT(2))))},
        {6, K(DOC("\"c\":" INT(3) ",\"u\":" ATOM("\"z\":" INT(3))))},
        {5, K(DOC("\"u\":" DOC("\"w\":" INT(4))))},
    };
    hot_open(h);
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        eid_entry *entry = make_write(h->root, &before[i]);
        hot_admit(h, entry, EID_OK);
        eid_entry_unref(entry);
    }
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    size_t points = 0;
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        hot h;
        trouble_open(&h);
        eid_entry *entry = make_write(h.root, &troubles[i]);
        char *before = state_of(&h);
        for (size_t point = 1;; point++) {
            eid_state_batch *batch;
            int64_t n;
            tu_assert_ok(eid_storage_begin(h.storage));
            tu_assert_ok(eid_storage_tree(h.storage, &h.root->id, &h.tree));
            tu_assert_ok(eid_storage_admit(h.storage, h.tree, entry, &h.n_root, 1, &n));
            tu_alloc_install();
            tu_assert_ok(eid_state_batch_new(h.storage, &batch));
            tu_alloc_fail_at(point);
            eid_status status = eid_state_apply(batch, h.tree, entry, n);
            if (status == EID_OK)
                status = eid_state_batch_finish(batch);
            bool fired = tu_alloc_fired();
            tu_alloc_fail_at(0);
            tu_alloc_remove();
            assert_int_equal(status, fired ? EID_ERR_NO_MEMORY : EID_OK);
            eid_state_batch_free(batch);
            eid_storage_rollback(h.storage);
            char *after = state_of(&h);
            assert_string_equal(after, before);
            eid_free(after);
            points++;
            if (!fired)
                break;
        }
        eid_free(before);
        eid_entry_unref(entry);
        hot_close(&h);
    }
    print_message("%zu places\n", points);
    assert_true(points > 50);
}

static void storage_may_fail_anywhere(void **state)
{
    (void)state;
    size_t points = 0;
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        hot h;
        trouble_open(&h);
        eid_entry *entry = make_write(h.root, &troubles[i]);
        char *before = state_of(&h);
        for (uint64_t point = 1;; point++) {
            eid_state_batch *batch;
            int64_t n;
            tu_assert_ok(eid_storage_begin(h.storage));
            tu_assert_ok(eid_storage_tree(h.storage, &h.root->id, &h.tree));
            tu_assert_ok(eid_state_batch_new(h.storage, &batch));
            tu_assert_ok(eid_storage_admit(h.storage, h.tree, entry, &h.n_root, 1, &n));
            eid_sql_fail_after(eid_storage_sql(h.storage), point);
            eid_status status = eid_state_apply(batch, h.tree, entry, n);
            if (status == EID_OK)
                status = eid_state_batch_finish(batch);
            bool fired = eid_sql_calls_left(eid_storage_sql(h.storage)) == 0;
            eid_sql_fail_after(eid_storage_sql(h.storage), 0);
            assert_int_equal(status, fired ? EID_ERR_STORAGE : EID_OK);
            eid_state_batch_free(batch);
            eid_storage_rollback(h.storage);
            char *after = state_of(&h);
            assert_string_equal(after, before);
            eid_free(after);
            points++;
            if (!fired)
                break;
        }
        eid_free(before);
        eid_entry_unref(entry);
        hot_close(&h);
    }
    print_message("%zu places\n", points);
    assert_true(points > 50);
}

/* A record that can not be read is an error and not a guess. */
static void damaged_twigs_are_told(void **state)
{
    (void)state;
    hot h;
    eid_tree_store *store;
    eid_view view = EID_VIEW_CURRENT;
    eid_value *value = NULL;
    trouble_open(&h);
    tu_assert_ok(eid_sql_exec(eid_storage_sql(h.storage), "UPDATE twig SET record = x'ff' WHERE name = x'6b61'"));
    tu_assert_ok(eid_storage_store(h.storage, h.tree, eid_slice_text("s"), &store));
    tu_assert_fails(eid_state_child(h.storage, store, &view, eid_slice_text("k"), &value), EID_ERR_CORRUPT);
    eid_entry *entry = make_write(h.root, &troubles[0]);
    hot_admit(&h, entry, EID_ERR_CORRUPT);
    eid_entry_unref(entry);
    hot_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_in_every_order),   cmocka_unit_test(every_rule_at_one_height),
        cmocka_unit_test(records_are_read_as_written), cmocka_unit_test(names_tell_places_apart),
        cmocka_unit_test(a_late_write_costs_what_it_writes), cmocka_unit_test(the_past_is_kept),
        cmocka_unit_test(a_past_a_little_behind_is_cheap), cmocka_unit_test(a_past_is_read_without_that_of_other_keys),
        cmocka_unit_test(removing_parts_ends_the_past_of_their_key_alone), cmocka_unit_test(memory_may_fail_anywhere),
        cmocka_unit_test(storage_may_fail_anywhere),   cmocka_unit_test(damaged_twigs_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
