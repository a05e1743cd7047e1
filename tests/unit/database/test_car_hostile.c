/* SPDX-License-Identifier: Apache-2.0 */
/* CAR files that are cut, damaged or made by an enemy: an error that says what is wrong, and nothing but verified entries. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "car_test.h"
#include "codec/cbor.h"
#include "codec/cid.h"
#include "codec/varint.h"
#include "crypto/blake3.h"

/* ---- Cut and damaged files ---- */

/* Offsets at which a block ends, the end of the header first. free() it. */
static size_t *boundaries(const bytes *file, size_t *count)
{
    size_t *out = calloc(64, sizeof *out);
    eid_slice rest = eid_slice_of(file->data, file->len);
    *count = 0;
    while (rest.len > 0) {
        uint64_t len;
        tu_assert_ok(eid_varint_read(&rest, &len));
        assert_true(len <= rest.len && *count < 64);
        rest = eid_slice_of(rest.data + len, rest.len - (size_t)len);
        out[(*count)++] = file->len - rest.len;
    }
    return out;
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    for (int i = 0; i < 3; i++)
        dt_commit_int(database, "s", "k", i);
    bytes file = ct_export(database);
    size_t count;
    size_t *ends = boundaries(&file, &count);
    assert_int_equal(count, 5);
    for (size_t len = 0; len < file.len; len++) {
        size_t whole = 0;
        bool at_end = false;
        for (size_t i = 0; i < count; i++) {
            whole += i > 0 && ends[i] <= len;
            at_end = at_end || ends[i] == len;
        }
        eid_core *other = dt_memory();
        eid_import_report report;
        eid_status status = ct_import(other, file.data, len, &report);
        eid_status wanted = !at_end ? EID_ERR_TRUNCATED : whole == 0 ? EID_ERR_DATABASE_NOT_FOUND : EID_OK;
        if (status != wanted)
            fail_msg("cut at %zu: %s, wanted %s", len, eid_status_name(status), eid_status_name(wanted));
        assert_int_equal(report.blocks, whole);
        assert_int_equal(report.admitted, whole);
        uint64_t held = 0;
        if (whole > 0)
            tu_assert_ok(eid_core_entry_count(other, eid_database_root_id(database), &held));
        assert_int_equal(held, whole);
        eid_core_close(other);
    }
    free(ends);
    free(file.data);
    eid_database_close(database);
    eid_core_close(core);
}

static void test_every_bit_flipped(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    dt_commit_int(database, "s", "k", 1);
    bytes file = ct_export(database);
    for (size_t i = 0; i < file.len; i++) {
        uint8_t bit = (uint8_t)(1u << (i * 5 % 8));
        file.data[i] ^= bit;
        eid_core *other = dt_memory();
        eid_import_report report;
        eid_status status = ct_import(other, file.data, file.len, &report);
        static const eid_status allowed[] = {EID_ERR_SYNTAX,     EID_ERR_VERSION,       EID_ERR_UNSUPPORTED,
                                             EID_ERR_TRUNCATED,  EID_ERR_LIMIT,         EID_ERR_INVALID_ID,
                                             EID_ERR_INVALID_ENTRY, EID_ERR_DATABASE_NOT_FOUND};
        bool known = false;
        for (size_t k = 0; k < sizeof allowed / sizeof *allowed; k++)
            known = known || status == allowed[k];
        if (!known)
            fail_msg("byte %zu: %s %s", i, eid_status_name(status), eid_last_error());
        /* The changed entry is not there, nor what builds on it. */
        bool has_root = eid_core_holds(other, eid_database_root_id(database));
        assert_int_equal(ti_number(other, "SELECT COUNT(*) FROM entry"), has_root ? 1 : 0);
        assert_true(!has_root || report.blocks == 1);
        eid_core_close(other);
        file.data[i] ^= bit;
    }
    free(file.data);
    eid_database_close(database);
    eid_core_close(core);
}

/* ---- Files made by hand ---- */

typedef struct maker {
    eid_buf file;
} maker;

static void add_framed(maker *m, const void *data, size_t len)
{
    eid_varint_append(&m->file, len);
    eid_buf_append(&m->file, data, len);
}

static maker make_header(const eid_id *root)
{
    maker m;
    eid_buf header;
    eid_buf_init(&m.file, SIZE_MAX / 2);
    eid_buf_init(&header, 1000);
    eid_cbor_write_map(&header, 2);
    eid_cbor_write_text(&header, "roots");
    eid_cbor_write_array(&header, 1);
    eid_cbor_write_id(&header, root);
    eid_cbor_write_text(&header, "version");
    eid_cbor_write_uint(&header, 1);
    add_framed(&m, header.data, header.len);
    eid_buf_free(&header);
    return m;
}

static void add_block(maker *m, const eid_id *id, const void *data, size_t len)
{
    eid_buf block;
    eid_buf_init(&block, SIZE_MAX / 2);
    eid_buf_append_slice(&block, eid_id_slice(id));
    eid_buf_append(&block, data, len);
    add_framed(m, block.data, block.len);
    eid_buf_free(&block);
}

static void add_entry(maker *m, const eid_entry *entry)
{
    add_block(m, &entry->id, entry->cbor, entry->cbor_len);
}

static eid_import_report expect_import(maker *m, eid_core *core, eid_status wanted)
{
    eid_import_report report;
    tu_assert_ok(eid_buf_status(&m->file));
    eid_status status = ct_import(core, m->file.data, m->file.len, &report);
    if (status != wanted)
        fail_msg("%s (%s), wanted %s", eid_status_name(status), eid_last_error(), eid_status_name(wanted));
    eid_buf_free(&m->file);
    ct_assert_sound(core);
    return report;
}

static void test_headers(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        eid_status wanted;
    } cases[] = {
        {"", EID_ERR_TRUNCATED},
        {"00", EID_ERR_SYNTAX},
        {"ffffffffffffffffff7f", EID_ERR_SYNTAX},
        {"ffffffffffffffffffff", EID_ERR_SYNTAX},
        {"8100", EID_ERR_SYNTAX},                                       /* a varint that is not the shortest */
        {"53514c69746520666f726d6174203300", EID_ERR_TRUNCATED},         /* "SQLite format 3": shorter than it says */
        {"0aa16776657273696f6e02", EID_ERR_VERSION},                     /* CARv2 */
        {"0aa16776657273696f6e01", EID_ERR_UNSUPPORTED},                 /* no roots */
        {"11a265726f6f7473806776657273696f6e01", EID_ERR_UNSUPPORTED},   /* zero roots */
        {"08a165726f6f747380", EID_ERR_SYNTAX},                          /* no version */
        {"0180", EID_ERR_SYNTAX},                                       /* an array */
        {"01a0", EID_ERR_SYNTAX},
        {"12a265726f6f747381016776657273696f6e01", EID_ERR_SYNTAX},      /* a root that is a number */
        {"11a265726f6f7473806776657273696f6e20", EID_ERR_SYNTAX},        /* version -1 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len;
        uint8_t *data = tu_hex_decode(cases[i].hex, &len);
        eid_core *core = dt_memory();
        eid_import_report report;
        eid_status status = ct_import(core, data, len, &report);
        if (status != cases[i].wanted)
            fail_msg("%s: %s (%s), wanted %s", cases[i].hex, eid_status_name(status), eid_last_error(),
                     eid_status_name(cases[i].wanted));
        assert_true(eid_id_is_empty(&report.database));
        eid_core_close(core);
        free(data);
    }
    /* A root that is an ID, but not of an entry. */
    eid_core *core = dt_memory();
    eid_id raw;
    uint8_t digest[32] = {1};
    eid_id_from_digest(EID_CODEC_RAW, digest, &raw);
    maker m = make_header(&raw);
    expect_import(&m, core, EID_ERR_INVALID_ID);
    eid_core_close(core);
}

static void test_blocks_that_are_wrong(void **state)
{
    (void)state;
    material mat = ct_material();
    const eid_id *root = eid_entry_id(mat.entries[0]);
    eid_id id;
    static const uint8_t junk[] = {0xa1, 0x61, 0x78, 0x01};
    struct {
        const char *what;
        eid_status wanted;
    } cases[] = {{"empty block", EID_ERR_SYNTAX},        {"too large", EID_ERR_LIMIT},
                 {"no CID", EID_ERR_INVALID_ID},         {"CID of other bytes", EID_ERR_INVALID_ID},
                 {"raw codec", EID_ERR_INVALID_ID},      {"not an entry", EID_ERR_INVALID_ENTRY},
                 {"no bytes", EID_ERR_INVALID_ENTRY},    {"not canonical", EID_ERR_INVALID_ENTRY},
                 {"overlong length", EID_ERR_SYNTAX},    {"endless length", EID_ERR_SYNTAX}};
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        maker m = make_header(root);
        add_entry(&m, mat.entries[0]);
        add_entry(&m, mat.entries[1]);
        eid_buf odd;
        eid_buf_init(&odd, 1 << 20);
        switch (i) {
        case 0:
            add_framed(&m, NULL, 0);
            break;
        case 1:
            eid_varint_append(&m.file, EID_LIMIT_ENTRY_BYTES + 1000);
            break;
        case 2:
            add_framed(&m, junk, sizeof junk);
            break;
        case 3:
            add_block(&m, eid_entry_id(mat.entries[2]), mat.entries[3]->cbor, mat.entries[3]->cbor_len);
            break;
        case 4:
            eid_id_of_bytes(EID_CODEC_RAW, junk, sizeof junk, &id);
            add_block(&m, &id, junk, sizeof junk);
            break;
        case 5:
            eid_id_of_bytes(EID_CODEC_DAG_CBOR, junk, sizeof junk, &id);
            add_block(&m, &id, junk, sizeof junk);
            break;
        case 6:
            eid_id_of_bytes(EID_CODEC_DAG_CBOR, NULL, 0, &id);
            add_block(&m, &id, NULL, 0);
            break;
        case 7:
            /* An unknown field is tolerated by the reader of entries; the bytes are not those an ID is made of. */
            eid_buf_append_byte(&odd, (uint8_t)(mat.entries[2]->cbor[0] + 1));
            eid_buf_append(&odd, "\x61z\x01", 3);
            eid_buf_append(&odd, mat.entries[2]->cbor + 1, mat.entries[2]->cbor_len - 1);
            eid_id_of_bytes(EID_CODEC_DAG_CBOR, odd.data, odd.len, &id);
            add_block(&m, &id, odd.data, odd.len);
            break;
        case 8:
            eid_buf_append(&m.file, "\x80\x00", 2);
            break;
        default:
            eid_buf_append(&m.file, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
            break;
        }
        eid_buf_free(&odd);
        add_entry(&m, mat.entries[2]); /* what stands behind the wrong place is not looked at */
        eid_core *core = dt_memory();
        eid_import_report report;
        eid_status status = ct_import(core, m.file.data, m.file.len, &report);
        if (status != cases[i].wanted)
            fail_msg("%s: %s (%s), wanted %s", cases[i].what, eid_status_name(status), eid_last_error(),
                     eid_status_name(cases[i].wanted));
        assert_int_equal(report.blocks, 2);
        assert_int_equal(report.admitted, 2);
        assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM entry"), 2);
        ct_assert_sound(core);
        eid_core_close(core);
        eid_buf_free(&m.file);
    }
    ct_material_free(&mat);
}

static void test_orders_and_repetitions(void **state)
{
    (void)state;
    material mat = ct_material();
    const eid_id *root = eid_entry_id(mat.entries[0]);
    eid_core *core = dt_memory();
    maker m = make_header(root);
    for (size_t i = mat.count; i-- > 0;) {
        add_entry(&m, mat.entries[i]);
        add_entry(&m, mat.entries[i]);
    }
    eid_import_report report = expect_import(&m, core, EID_OK);
    assert_int_equal(report.blocks, 2 * mat.count);
    assert_int_equal(report.admitted, mat.count);
    assert_int_equal(report.waiting + report.refused, 0);
    eid_core_close(core);
    /* With a gap, what is behind it waits until it is closed. */
    core = dt_memory();
    m = make_header(root);
    add_entry(&m, mat.entries[0]);
    add_entry(&m, mat.entries[3]);
    add_entry(&m, mat.entries[4]);
    report = expect_import(&m, core, EID_OK);
    assert_int_equal(report.admitted, 1);
    assert_int_equal(report.waiting, 2);
    m = make_header(root);
    add_entry(&m, mat.entries[1]);
    add_entry(&m, mat.entries[2]);
    report = expect_import(&m, core, EID_OK);
    assert_int_equal(report.blocks, 2);
    assert_int_equal(report.admitted, 4);
    assert_int_equal(report.waiting, 0);
    eid_core_close(core);
    ct_material_free(&mat);
}

static void test_entries_that_are_wrong(void **state)
{
    (void)state;
    material mat = ct_material();
    const eid_id *root = eid_entry_id(mat.entries[0]);
    eid_database *other = dt_create(mat.core);
    eid_entry *foreign = dt_entry(other, eid_database_root_id(other));
    eid_entry *forged = dt_tamper(mat.entries[1], "\"Int\":0");
    eid_core *core = dt_memory();
    maker m = make_header(root);
    add_entry(&m, mat.entries[0]);
    add_entry(&m, forged);
    add_entry(&m, foreign);
    add_entry(&m, mat.entries[1]);
    eid_import_report report = expect_import(&m, core, EID_OK);
    assert_int_equal(report.blocks, 4);
    assert_int_equal(report.admitted, 2);
    assert_int_equal(report.refused, 2);
    assert_true(report.first_refusal == EID_ERR_BAD_SIGNATURE || report.first_refusal == EID_ERR_WRONG_TREE);
    assert_true(report.text[0] != '\0');
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM tree"), 1);
    eid_core_close(core);
    /* Without its root, or with another's, there is no database to import into. */
    core = dt_memory();
    m = make_header(root);
    expect_import(&m, core, EID_ERR_DATABASE_NOT_FOUND);
    m = make_header(root);
    add_entry(&m, mat.entries[1]);
    expect_import(&m, core, EID_ERR_DATABASE_NOT_FOUND);
    m = make_header(root);
    add_entry(&m, foreign);
    expect_import(&m, core, EID_ERR_DATABASE_NOT_FOUND);
    m = make_header(eid_entry_id(forged));
    add_entry(&m, forged);
    expect_import(&m, core, EID_ERR_DATABASE_NOT_FOUND);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM entry"), 0);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM tree"), 0);
    eid_core_close(core);
    eid_entry_unref(forged);
    eid_entry_unref(foreign);
    eid_database_close(other);
    ct_material_free(&mat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_blocks_that_are_wrong),
        cmocka_unit_test(test_orders_and_repetitions),
        cmocka_unit_test(test_entries_that_are_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
