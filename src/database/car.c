/* SPDX-License-Identifier: Apache-2.0 */
/* Databases as CAR files, version 1: a header {"roots": [database], "version": 1} in DAG-CBOR, then for each entry the
 * length of what follows as a varint, its CID, and its bytes.
 *
 * Writing goes through the history, oldest first, which is the same on every peer. Reading trusts nothing: every block is
 * hashed, and entries are received in batches as if a peer had sent them.
 */
#include <eidetica/history.h>
#include <eidetica/maintenance.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "codec/cbor.h"
#include "codec/cid.h"
#include "codec/varint.h"
#include "crypto/blake3.h"
#include "database/database_int.h"

#define CAR_VERSION 1
#define BLOCK_MAX (EID_LIMIT_ENTRY_BYTES + EID_ID_MAX_BYTES)
#define IO_BYTES 65536

/* ---- Writing ---- */

static eid_status write_header(const eid_id *root, eid_write_bytes write, void *ctx)
{
    eid_buf header, framed;
    eid_buf_init(&header, EID_LIMIT_CAR_HEADER);
    eid_buf_init(&framed, EID_LIMIT_CAR_HEADER + EID_VARINT_MAX);
    eid_cbor_write_map(&header, 2);
    eid_cbor_write_text(&header, "roots");
    eid_cbor_write_array(&header, 1);
    eid_cbor_write_id(&header, root);
    eid_cbor_write_text(&header, "version");
    eid_cbor_write_uint(&header, CAR_VERSION);
    eid_varint_append(&framed, header.len);
    eid_buf_append_slice(&framed, eid_buf_slice(&header));
    eid_status status = eid_buf_status(&header);
    if (status == EID_OK)
        status = eid_buf_status(&framed);
    if (status == EID_OK)
        status = write(framed.data, framed.len, ctx);
    eid_buf_free(&header);
    eid_buf_free(&framed);
    return status;
}

static eid_status write_block(const eid_entry *entry, eid_write_bytes write, void *ctx)
{
    uint8_t front[EID_VARINT_MAX + EID_ID_MAX_BYTES];
    eid_slice id = eid_id_slice(&entry->id);
    size_t len = eid_varint_put(front, id.len + entry->cbor_len);
    memcpy(front + len, id.data, id.len);
    EID_TRY(write(front, len + id.len, ctx));
    return write(entry->cbor, entry->cbor_len, ctx);
}

eid_status eid_database_export_to(eid_database *database, eid_write_bytes write, void *ctx)
{
    EID_NEED(database && write);
    eid_history *history;
    EID_TRY(eid_history_open(database, NULL, &history));
    eid_status status = write_header(eid_database_root_id(database), write, ctx);
    for (bool more = true; more && status == EID_OK;) {
        eid_entry *entry = NULL;
        status = eid_history_next(history, &entry);
        more = entry != NULL;
        if (status == EID_OK && more)
            status = write_block(entry, write, ctx);
        eid_entry_unref(entry);
    }
    eid_history_close(history);
    return status;
}

typedef struct sink {
    int fd;
    const char *path;
    size_t len;
    uint8_t bytes[IO_BYTES];
} sink;

static eid_status flush_sink(sink *s)
{
    size_t len = s->len;
    s->len = 0;
    return eid_file_write(s->fd, s->path, s->bytes, len);
}

static eid_status write_to_sink(const void *data, size_t len, void *ctx)
{
    sink *s = ctx;
    if (len > sizeof s->bytes - s->len)
        EID_TRY(flush_sink(s));
    if (len > sizeof s->bytes)
        return eid_file_write(s->fd, s->path, data, len);
    memcpy(s->bytes + s->len, data, len);
    s->len += len;
    return EID_OK;
}

eid_status eid_database_export(eid_database *database, const char *path)
{
    EID_NEED(database && path);
    sink *s = eid_alloc(sizeof *s);
    if (s == NULL)
        return eid_fail_memory();
    s->path = path;
    s->len = 0;
    eid_status status = eid_file_create(path, &s->fd);
    if (status == EID_OK) {
        status = eid_database_export_to(database, write_to_sink, s);
        if (status == EID_OK)
            status = flush_sink(s);
        if (status == EID_OK)
            status = eid_file_finish(s->fd, path);
        else
            eid_file_discard(s->fd, path);
    }
    eid_free(s);
    return status;
}

/* ---- Reading bytes ---- */

typedef struct import {
    eid_core *core;
    eid_read_bytes read;
    void *ctx;
    uint8_t bytes[IO_BYTES];
    size_t len;
    size_t at;
    eid_buf block;
    eid_entry **batch;       /* read, but not yet received */
    size_t batch_count;
    size_t batch_bytes;
    eid_import_report report;
} import;

static eid_status truncated(const import *in)
{
    return eid_fail(EID_ERR_TRUNCATED, "The CAR file ends in the middle of a block, behind %llu entries",
                    (unsigned long long)in->report.blocks);
}

/* *more false: nothing is left. */
static eid_status refill(import *in, bool *more)
{
    *more = true;
    if (in->at < in->len)
        return EID_OK;
    size_t len = 0;
    EID_TRY(in->read(in->bytes, sizeof in->bytes, &len, in->ctx));
    if (len > sizeof in->bytes)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "The function that reads gave more bytes than there was room for");
    in->at = 0;
    in->len = len;
    *more = len > 0;
    return EID_OK;
}

/* *found false: the input ended in front of the first byte, if `may_end`. */
static eid_status read_varint(import *in, bool may_end, uint64_t *out, bool *found)
{
    uint8_t bytes[EID_VARINT_MAX];
    size_t len = 0;
    *found = true;
    do {
        bool more;
        EID_TRY(refill(in, &more));
        if (!more && len == 0 && may_end) {
            *found = false;
            return EID_OK;
        }
        if (!more)
            return truncated(in);
        bytes[len++] = in->bytes[in->at++];
    } while ((bytes[len - 1] & 0x80) != 0 && len < sizeof bytes);
    eid_slice slice = eid_slice_of(bytes, len);
    eid_status status = eid_varint_read(&slice, out);
    return status == EID_OK ? EID_OK : eid_fail_context(EID_ERR_SYNTAX, "The length of a block");
}

static eid_status read_block(import *in, size_t len)
{
    eid_buf_reset(&in->block);
    while (in->block.len < len) {
        bool more;
        EID_TRY(refill(in, &more));
        if (!more)
            return truncated(in);
        size_t here = in->len - in->at, wanted = len - in->block.len;
        eid_buf_append(&in->block, in->bytes + in->at, here < wanted ? here : wanted);
        in->at += here < wanted ? here : wanted;
        EID_TRY(eid_buf_status(&in->block));
    }
    return EID_OK;
}

/* ---- The header ---- */

static eid_status not_a_car(void)
{
    return eid_fail_context(EID_ERR_SYNTAX, "This is not a CAR file");
}

typedef struct header {
    bool has_version;
    bool has_roots;
    uint64_t version;
    uint64_t root_count;
    eid_id root;
} header;

static eid_status read_roots(eid_cbor *reader, header *h)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_ARRAY, "roots", &item));
    h->has_roots = true;
    h->root_count = item.number;
    for (uint64_t i = 0; i < h->root_count; i++) {
        EID_TRY(eid_cbor_expect(reader, EID_CBOR_ID, "a root", &item));
        h->root = item.id;
    }
    return EID_OK;
}

static eid_status parse_header(eid_slice bytes, header *h)
{
    eid_cbor reader;
    eid_cbor_item item;
    eid_cbor_init(&reader, bytes, false);
    EID_TRY(eid_cbor_expect(&reader, EID_CBOR_MAP, "the header", &item));
    for (uint64_t pairs = item.number; pairs > 0; pairs--) {
        EID_TRY(eid_cbor_expect(&reader, EID_CBOR_TEXT, "a field of the header", &item));
        if (eid_slice_is(item.bytes, "version")) {
            EID_TRY(eid_cbor_expect(&reader, EID_CBOR_UINT, "version", &item));
            h->version = item.number;
            h->has_version = true;
        } else if (eid_slice_is(item.bytes, "roots")) {
            EID_TRY(read_roots(&reader, h));
        } else {
            EID_TRY(eid_cbor_skip(&reader));
        }
    }
    return eid_cbor_end(&reader);
}

static eid_status read_header(import *in)
{
    uint64_t len;
    bool found;
    header h = {0};
    EID_TRY(read_varint(in, false, &len, &found));
    if (len == 0 || len > EID_LIMIT_CAR_HEADER)
        return eid_fail(EID_ERR_SYNTAX, "This is not a CAR file: it begins with no header");
    EID_TRY(read_block(in, (size_t)len));
    eid_status status = parse_header(eid_buf_slice(&in->block), &h);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (status != EID_OK)
        return not_a_car();
    if (!h.has_version)
        return eid_fail(EID_ERR_SYNTAX, "This is not a CAR file: its header names no version");
    if (h.version != CAR_VERSION)
        return eid_fail(EID_ERR_VERSION, "The CAR file is of version %llu, only version 1 can be read",
                        (unsigned long long)h.version);
    if (!h.has_roots || h.root_count != 1)
        return eid_fail(EID_ERR_UNSUPPORTED, "The CAR file names %llu roots instead of one database",
                        (unsigned long long)h.root_count);
    if (!eid_id_is_entry(&h.root))
        return eid_fail(EID_ERR_INVALID_ID, "The root of the CAR file can not be the ID of a database");
    in->report.database = h.root;
    return EID_OK;
}

/* ---- Blocks ---- */

/* Receives what is waiting to be. */
static eid_status receive_batch(import *in)
{
    if (in->batch_count == 0)
        return EID_OK;
    eid_receipt receipt;
    eid_status status = eid_core_receive(in->core, &in->report.database, in->batch, in->batch_count, &receipt, NULL);
    eid_import_report *report = &in->report;
    report->admitted += receipt.admitted;
    report->held += receipt.held;
    if (receipt.refused > 0 && report->refused == 0) {
        report->first_refusal = receipt.first_refusal;
        memcpy(report->text, receipt.text, sizeof report->text);
    }
    report->refused += receipt.refused;
    for (size_t i = 0; i < in->batch_count; i++)
        eid_entry_unref(in->batch[i]);
    in->batch_count = 0;
    in->batch_bytes = 0;
    return status;
}

/* Checks that the block is what its CID says; *bytes is what stands behind it. */
static eid_status verify_block(const import *in, eid_id *id, eid_slice *bytes)
{
    unsigned long long number = (unsigned long long)in->report.blocks + 1;
    eid_id found;
    *bytes = eid_buf_slice(&in->block);
    if (eid_id_read(bytes, id) != EID_OK)
        return eid_fail_context(EID_ERR_INVALID_ID, "Block %llu of the CAR file", number);
    if (!eid_id_is_entry(id))
        return eid_fail(EID_ERR_INVALID_ID, "Block %llu of the CAR file has an ID that no entry has", number);
    eid_id_of_bytes(EID_CODEC_DAG_CBOR, bytes->data, bytes->len, &found);
    if (!eid_id_equal(id, &found))
        return eid_fail(EID_ERR_INVALID_ID, "Block %llu of the CAR file is not what its ID says: it was changed or damaged",
                        number);
    return EID_OK;
}

/* What is held in this database need not be judged again. */
static eid_status is_held(const import *in, const eid_id *id, bool *out)
{
    eid_tree *tree;
    int64_t n = 0, d = 0;
    eid_storage_lock(in->core->storage);
    eid_status status = eid_storage_tree(in->core->storage, &in->report.database, &tree);
    if (status == EID_OK) {
        status = eid_storage_find(in->core->storage, id, &n, &d);
        *out = n != 0 && d == tree->d;
    } else if (status == EID_ERR_DATABASE_NOT_FOUND) {
        status = EID_OK;
        *out = false;
    }
    eid_storage_unlock(in->core->storage);
    return status;
}

static eid_status parse_block(const import *in, const eid_id *id, eid_slice bytes, eid_entry **out)
{
    unsigned long long number = (unsigned long long)in->report.blocks + 1;
    eid_entry *entry;
    eid_status status = eid_entry_read_cbor(bytes.data, bytes.len, &entry);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (status != EID_OK)
        return eid_fail_context(EID_ERR_INVALID_ENTRY, "Block %llu of the CAR file", number);
    if (!eid_id_equal(&entry->id, id)) {
        eid_entry_unref(entry);
        return eid_fail(EID_ERR_INVALID_ENTRY, "Block %llu of the CAR file is not in the canonical form", number);
    }
    *out = entry;
    return EID_OK;
}

/* Takes the block that was read: into the batch, unless its entry is here. */
static eid_status take_block(import *in)
{
    eid_id id;
    eid_slice bytes;
    bool held;
    EID_TRY(verify_block(in, &id, &bytes));
    EID_TRY(is_held(in, &id, &held));
    if (held) {
        in->report.held++;
        in->report.blocks++;
        return EID_OK;
    }
    EID_TRY(parse_block(in, &id, bytes, &in->batch[in->batch_count]));
    in->batch_bytes += bytes.len;
    in->batch_count++;
    in->report.blocks++;
    if (in->batch_count == EID_LIMIT_IMPORT_ENTRIES || in->batch_bytes >= EID_LIMIT_IMPORT_BYTES)
        return receive_batch(in);
    return EID_OK;
}

static eid_status next_block(import *in, bool *more)
{
    uint64_t len;
    EID_TRY(read_varint(in, true, &len, more));
    if (!*more)
        return EID_OK;
    if (len == 0)
        return eid_fail(EID_ERR_SYNTAX, "The CAR file holds an empty block behind %llu entries",
                        (unsigned long long)in->report.blocks);
    if (len > BLOCK_MAX)
        return eid_fail(EID_ERR_LIMIT, "Block %llu of the CAR file has %llu bytes, more than an entry may have",
                        (unsigned long long)in->report.blocks + 1, (unsigned long long)len);
    EID_TRY(read_block(in, (size_t)len));
    return take_block(in);
}

/* ---- Importing ---- */

static eid_status count_waiting(eid_core *core, const eid_id *database, uint64_t *out)
{
    eid_tree *tree;
    *out = 0;
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_tree(core->storage, database, &tree);
    if (status == EID_OK)
        *out = tree->waiting;
    eid_storage_unlock(core->storage);
    return status == EID_ERR_DATABASE_NOT_FOUND ? EID_OK : status;
}

/* Receives the rest, also what stood in front of a wrong place, and counts what was left waiting. */
static eid_status settle(import *in, uint64_t waiting_before)
{
    EID_TRY(receive_batch(in));
    uint64_t waiting;
    EID_TRY(count_waiting(in->core, &in->report.database, &waiting));
    if (waiting > waiting_before)
        in->report.waiting = waiting - waiting_before;
    if (!eid_core_holds(in->core, &in->report.database))
        return eid_fail(EID_ERR_DATABASE_NOT_FOUND, "The CAR file does not hold the root entry of its database");
    return EID_OK;
}

static eid_status run(import *in)
{
    uint64_t waiting_before;
    EID_TRY(read_header(in));
    EID_TRY(count_waiting(in->core, &in->report.database, &waiting_before));
    eid_status status = EID_OK;
    for (bool more = true; more && status == EID_OK;)
        status = next_block(in, &more);
    if (status == EID_OK)
        return settle(in, waiting_before);
    char text[EID_LIMIT_ERROR_TEXT];
    snprintf(text, sizeof text, "%s", eid_last_error());
    settle(in, waiting_before);
    return eid_fail(status, "%s", text); /* what was found first */
}

eid_status eid_core_import(eid_core *core, eid_read_bytes read, void *ctx, eid_import_report *report)
{
    import *in = eid_alloc(sizeof *in);
    eid_entry **batch = eid_realloc_array(NULL, EID_LIMIT_IMPORT_ENTRIES, sizeof(eid_entry *));
    if (in == NULL || batch == NULL) {
        eid_free(in);
        eid_free(batch);
        return eid_fail_memory();
    }
    in->core = core;
    in->read = read;
    in->ctx = ctx;
    in->len = 0;
    in->at = 0;
    in->batch = batch;
    in->batch_count = 0;
    in->batch_bytes = 0;
    memset(&in->report, 0, sizeof in->report);
    eid_buf_init(&in->block, BLOCK_MAX);
    eid_status status = run(in);
    if (report != NULL)
        *report = in->report;
    eid_buf_free(&in->block);
    eid_free(batch);
    eid_free(in);
    return status;
}

typedef struct source {
    int fd;
    const char *path;
} source;

static eid_status read_from_source(void *data, size_t size, size_t *len, void *ctx)
{
    const source *s = ctx;
    ssize_t got;
    do {
        got = read(s->fd, data, size);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return eid_fail(EID_ERR_IO, "Reading %s: %s", s->path, strerror(errno));
    *len = (size_t)got;
    return EID_OK;
}

eid_status eid_core_import_file(eid_core *core, const char *path, eid_import_report *report)
{
    source s = {open(path, O_RDONLY | O_CLOEXEC), path};
    if (s.fd < 0)
        return eid_fail(EID_ERR_IO, "Opening %s: %s", path, strerror(errno));
    eid_status status = eid_core_import(core, read_from_source, &s, report);
    close(s.fd);
    return status;
}
