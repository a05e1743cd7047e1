/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer costs: entries of many keys, received and verified. Sizes are numbers of keys that may write.
 *
 * Of what an entry costs its signature is most and can not be made cheaper here, so that bound is measured on the same entries: the
 * rest is what this library adds. Linked with the library's inside, because no public function receives entries by themselves.
 */
#include "bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <eidetica/auth.h>
#include <eidetica/store.h>

#include "database/standing_int.h"
#include "database/database_int.h"

#define WINDOW 4000  /* entries */
#define JUDGED 200000

typedef struct crowd {
    eid_core *core;
    eid_database *database;
    eid_keypair **writers;
    long writer_count;
    eid_entry **entries;     /* all of the database, parents first */
    size_t count;
    size_t first;            /* the data entries, WINDOWS * WINDOW of them, are the last */
} crowd;

static eid_core *open_core(void)
{
    eid_core_options options = {.path = ":memory:", .clock = eid_clock_system};
    eid_core *core;
    check(eid_core_open(&options, &core), "open");
    return core;
}

/* ---- The database ---- */

static void grant(crowd *c, long writer)
{
    eid_pubkey key;
    eid_txn *txn;
    char name[32];
    check(eid_keypair_generate(&c->writers[writer]), "key");
    eid_keypair_public(c->writers[writer], &key);
    snprintf(name, sizeof name, "writer%ld", writer);
    check(eid_database_new_transaction(c->database, &txn), "transaction");
    check(eid_settings_set_auth_key(txn, &key, name, (eid_permission){EID_PERM_WRITE, 10}, EID_KEY_ACTIVE), "grant");
    check(eid_txn_commit_free(txn, NULL), "commit");
}

static void write_one(crowd *c, long number)
{
    eid_txn *txn;
    char key[32], value[64];
    snprintf(key, sizeof key, "key%ld", number % 1000);
    snprintf(value, sizeof value, "the value number %ld of this key", number);
    check(eid_database_new_transaction_as(c->database, c->writers[number % c->writer_count], NULL, &txn), "transaction");
    check(eid_docstore_set_text(txn, "notes", key, value), "set");
    check(eid_txn_commit_free(txn, NULL), "commit");
}

static bool collect(eid_entry *entry, void *ctx)
{
    crowd *c = ctx;
    c->entries[c->count++] = eid_entry_ref(entry);
    return true;
}

static void make_crowd(crowd *c, long writers)
{
    eid_keypair *admin;
    eid_doc *settings;
    double rates[WINDOWS];
    uint64_t count;
    *c = (crowd){.core = open_core(), .writers = calloc((size_t)writers, sizeof(eid_keypair *)), .writer_count = writers};
    check(eid_keypair_generate(&admin), "key");
    check(eid_doc_new(&settings), "settings");
    check(eid_database_create(c->core, settings, admin, &c->database), "database");
    for (int w = 0; w < WINDOWS; w++) {
        long from = writers * w / WINDOWS, to = writers * (w + 1) / WINDOWS;
        double start = seconds();
        for (long i = from; i < to; i++)
            grant(c, i);
        rates[w] = (double)(to - from) / (seconds() - start);
    }
    if (writers >= 100)
        record("grants, by number of keys", writers, rates, WINDOWS, "per second");
    for (long i = 0; i < WINDOWS * WINDOW; i++)
        write_one(c, i);
    check(eid_core_entry_count(c->core, eid_database_root_id(c->database), &count), "count");
    c->entries = calloc(count, sizeof(eid_entry *));
    check(eid_core_difference(c->core, eid_database_root_id(c->database), NULL, 0, collect, c), "entries");
    c->first = c->count - (size_t)WINDOWS * WINDOW;
    eid_doc_free(settings);
    eid_keypair_free(admin);
}

static void free_crowd(crowd *c)
{
    for (size_t i = 0; i < c->count; i++)
        eid_entry_unref(c->entries[i]);
    for (long i = 0; i < c->writer_count; i++)
        eid_keypair_free(c->writers[i]);
    free(c->entries);
    free(c->writers);
    eid_database_close(c->database);
    eid_core_close(c->core);
}

/* ---- Reception ---- */

static void receive(eid_core *core, const crowd *c, size_t from, size_t count)
{
    eid_receipt receipt;
    check(eid_core_receive(core, eid_database_root_id(c->database), c->entries + from, count, &receipt, NULL), "receive");
    if (receipt.admitted == count)
        return;
    fprintf(stderr, "bench: %llu of %zu entries admitted: %s\n", (unsigned long long)receipt.admitted, count, receipt.text);
    exit(1);
}

/* The machine's own number of cores comes back afterwards. */
static bool on_cores(int cores, cpu_set_t *before)
{
    cpu_set_t wanted;
    CPU_ZERO(&wanted);
    if (sched_getaffinity(0, sizeof *before, before) != 0 || CPU_COUNT(before) < cores)
        return false;
    for (int i = 0, taken = 0; i < CPU_SETSIZE && taken < cores; i++)
        if (CPU_ISSET((size_t)i, before)) {
            CPU_SET((size_t)i, &wanted);
            taken++;
        }
    return sched_setaffinity(0, sizeof wanted, &wanted) == 0;
}

/* On one core in whatever time is counted; on two by the wall clock, since processor time is that of both. */
static void bench_reception(const crowd *c, int cores)
{
    double rates[WINDOWS];
    cpu_set_t before;
    if (!on_cores(cores, &before)) {
        printf("received on %d cores: not measured, there are fewer\n", cores);
        return;
    }
    eid_core *core = open_core();
    receive(core, c, 0, c->first);
    for (size_t w = 0; w < WINDOWS; w++) {
        double start = cores == 1 ? seconds() : wall_seconds();
        receive(core, c, c->first + w * WINDOW, WINDOW);
        rates[w] = WINDOW / ((cores == 1 ? seconds() : wall_seconds()) - start);
    }
    record(cores == 1 ? "received on one core, by keys" : "received on two, wall clock", c->writer_count, rates, WINDOWS, "per second");
    eid_core_close(core);
    sched_setaffinity(0, sizeof before, &before);
}

static void bench_bound(const crowd *c)
{
    double rates[WINDOWS];
    for (size_t w = 0; w < WINDOWS; w++) {
        double start = seconds();
        for (size_t i = 0; i < WINDOW; i++) {
            const eid_entry *entry = c->entries[c->first + w * WINDOW + i];
            eid_pubkey key;
            if (!eid_entry_signer(entry, &key))
                exit(1);
            check(eid_entry_verify_signature(entry, &key), "signature");
        }
        rates[w] = WINDOW / (seconds() - start);
    }
    record("their signatures alone", c->writer_count, rates, WINDOWS, "per second");
}

static void bench_decoding(const crowd *c)
{
    double rates[WINDOWS];
    for (size_t w = 0; w < WINDOWS; w++) {
        double start = seconds();
        for (size_t i = 0; i < WINDOW; i++) {
            const void *data;
            size_t len;
            eid_entry *entry;
            eid_entry_cbor(c->entries[c->first + w * WINDOW + i], &data, &len);
            check(eid_entry_read_cbor(data, len, &entry), "entry");
            eid_entry_unref(entry);
        }
        rates[w] = WINDOW / (seconds() - start);
    }
    record("decoded from their bytes", c->writer_count, rates, WINDOWS, "per second");
}

/* The permission check alone: pins that were seen before. */
static void bench_judging(const crowd *c)
{
    double times[WINDOWS];
    eid_tree *tree;
    eid_entry_pin pin;
    eid_pubkey key;
    eid_status refusal;
    int64_t n;
    const eid_entry *entry = c->entries[c->count - 1];
    eid_storage *storage = eid_core_storage(c->core);
    if (!eid_entry_signer(entry, &key))
        exit(1);
    eid_storage_lock(storage);
    check(eid_storage_tree(storage, eid_database_root_id(c->database), &tree), "tree");
    check(eid_entry_read_pin(entry, &pin), "pin");
    check(eid_storage_find(storage, &pin.tips[0], &n, NULL), "pin");
    for (int w = 0; w < WINDOWS; w++) {
        double start = seconds();
        for (int i = 0; i < JUDGED; i++)
            check(eid_standing_judge(c->core, tree, &n, 1, entry, &key, &refusal), "judge");
        check(refusal, "judge");
        times[w] = (seconds() - start) / JUDGED * 1e6;
    }
    eid_storage_unlock(storage);
    eid_entry_pin_free(&pin);
    record("permission check", c->writer_count, times, WINDOWS, "us");
}

void bench_receptions(bool quick)
{
    static const long writers[] = {1, 100, 1000, 10000};
    for (size_t i = 0; i < (quick ? 3 : 4); i++) {
        crowd c;
        make_crowd(&c, writers[i]);
        bench_reception(&c, 1);
        bench_reception(&c, 2);
        bench_bound(&c);
        bench_decoding(&c);
        bench_judging(&c);
        free_crowd(&c);
    }
}
