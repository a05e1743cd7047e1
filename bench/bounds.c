/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds no database can beat: one signature, one small transaction of the engine below. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#define WINDOW_ROWS 2000

static void bench_signatures(void)
{
    eid_keypair *key;
    eid_pubkey public_key;
    uint8_t message[600] = {0}, signature[64];
    check(eid_keypair_generate(&key), "key");
    eid_keypair_public(key, &public_key);
    double sign[WINDOWS], verify[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
        double start = seconds();
        for (int i = 0; i < 2000; i++)
            eid_keypair_sign(key, message, sizeof message, signature);
        sign[w] = 2000 / (seconds() - start);
        start = seconds();
        for (int i = 0; i < 2000; i++)
            check(eid_pubkey_verify(&public_key, message, sizeof message, signature), "verify");
        verify[w] = 2000 / (seconds() - start);
    }
    record("Ed25519 sign 600 bytes", 0, sign, WINDOWS, "per second");
    record("Ed25519 verify 600 bytes", 0, verify, WINDOWS, "per second");
    eid_keypair_free(key);
}

static void run_sql(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK)
        return;
    fprintf(stderr, "bench: SQLite: %s\n", sqlite3_errmsg(db));
    exit(1);
}

/* One row of the size of an entry in each transaction, with the settings the library uses. */
static void bench_engine(const char *url, const char *name)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    char bytes[550] = {0};
    if (sqlite3_open(url, &db) != SQLITE_OK)
        exit(1);
    run_sql(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                "CREATE TABLE t (n INTEGER PRIMARY KEY, bytes BLOB NOT NULL)");
    if (sqlite3_prepare_v2(db, "INSERT INTO t (bytes) VALUES (?)", -1, &stmt, NULL) != SQLITE_OK)
        exit(1);
    double rates[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
        double start = seconds();
        for (int i = 0; i < WINDOW_ROWS; i++) {
            sqlite3_bind_blob(stmt, 1, bytes, sizeof bytes, SQLITE_STATIC);
            if (sqlite3_step(stmt) != SQLITE_DONE || sqlite3_reset(stmt) != SQLITE_OK)
                exit(1);
        }
        rates[w] = WINDOW_ROWS / (seconds() - start);
    }
    record(name, 0, rates, WINDOWS, "per second");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

void bench_bounds(const char *dir)
{
    char path[512];
    snprintf(path, sizeof path, "%s/bound.db", dir);
    bench_signatures();
    bench_engine(path, "SQLite transaction of one row");
    bench_engine(":memory:", "the same in memory");
}
