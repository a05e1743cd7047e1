/* SPDX-License-Identifier: Apache-2.0 */
/* A process that commits and receives is killed at any moment, again and again on the same file: whatever it has reported as
 * committed is there, whatever is there fits together, and the next process goes on. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/database/database_test.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "codec/cid.h"

#define ROUNDS 40
#define MOST_MS 120 /* longest life of a child */
#define BUDGET_S 60 /* the whole test; rounds are left out beyond, and it says so */

/* ---- The child ---- */

static void report(int fd, const eid_id *id)
{
    if (write(fd, id, sizeof *id) != (ssize_t)sizeof *id)
        _exit(2);
}

static void commit_something(eid_database *database, const eid_id *root, tu_random *random, int fd)
{
    eid_txn *txn;
    eid_id id;
    char key[8];
    if (tu_random_below(random, 10) == 0)
        tu_assert_ok(eid_database_new_transaction_at(database, root, 1, &txn));
    else
        tu_assert_ok(eid_database_new_transaction(database, &txn));
    int64_t number = (int64_t)tu_random_below(random, 1000000000);
    snprintf(key, sizeof key, "k%d", (int)tu_random_below(random, 30));
    dt_put_int(txn, "s", key, number);
    if (tu_random_below(random, 3) == 0)
        dt_set_int(txn, "t", "doc.field", number);
    if (tu_random_below(random, 40) == 0)
        eid_doc_set_atomic(dt_store(txn, "s")->delta, true);
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    report(fd, &id);
}

/* A chain from elsewhere, its second half first. */
static void receive_something(eid_core *core, const eid_id *root, tu_random *random, int fd)
{
    eid_entry *chain[8];
    eid_id parent = *root;
    for (uint64_t i = 0; i < 8; i++) {
        char payload[64];
        snprintf(payload, sizeof payload, "{\"children\":{\"k%d\":{\"Int\":%d}}}", (int)tu_random_below(random, 30),
                 (int)tu_random_below(random, 1000000000));
        dt_draft draft = {.root = root, .parents = &parent, .parent_count = 1, .pins = root, .pin_count = 1, .height = 1 + i,
                          .store = "s", .payload = payload, .key = 1};
        chain[i] = dt_make(&draft);
        parent = chain[i]->id;
    }
    dt_receive(core, root, chain + 4, 4);
    eid_receipt receipt = dt_receive(core, root, chain, 4);
    if (receipt.admitted != 8)
        _exit(3);
    for (int i = 0; i < 8; i++) {
        report(fd, &chain[i]->id);
        eid_entry_unref(chain[i]);
    }
}

static void live(const char *path, const eid_id *root, uint64_t seed, int fd)
{
    tu_random random = {seed};
    eid_core *core = dt_open(path);
    eid_database *database = dt_open_as(core, root, 1);
    for (;;) {
        if (tu_random_below(&random, 15) == 0)
            receive_something(core, root, &random, fd);
        else
            commit_something(database, root, &random, fd);
    }
}

/* ---- The parent ---- */

typedef struct reports {
    eid_id *ids;
    size_t count;
    size_t capacity;
} reports;

/* Reads what the child reports until it is dead; it is killed when its time is over. */
static void listen_and_kill(reports *r, pid_t child, int fd, uint64_t life_ns)
{
    uint64_t end = eid_monotonic_ns() + life_ns;
    bool killed = false;
    for (;;) {
        eid_id id;
        size_t have = 0;
        while (have < sizeof id) {
            uint64_t now = eid_monotonic_ns();
            struct pollfd wait = {.fd = fd, .events = POLLIN};
            struct timespec left = {.tv_nsec = killed || now >= end ? 0 : (long)(end - now)};
            if (!killed && ppoll(&wait, 1, &left, NULL) == 0) {
                assert_int_equal(kill(child, SIGKILL), 0);
                killed = true;
            }
            ssize_t got = read(fd, (uint8_t *)&id + have, sizeof id - have);
            if (got <= 0)
                break;
            have += (size_t)got;
        }
        if (have < sizeof id) {
            assert_int_equal(have, 0); /* a report is written in one piece */
            break;
        }
        if (r->count == r->capacity) {
            r->capacity = r->capacity == 0 ? 1024 : 2 * r->capacity;
            r->ids = realloc(r->ids, r->capacity * sizeof *r->ids);
        }
        r->ids[r->count++] = id;
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    if (!WIFSIGNALED(result) || WTERMSIG(result) != SIGKILL)
        fail_msg("the child ended by itself: %d", result);
}

static void run_child(reports *r, const char *path, const eid_id *root, uint64_t seed, uint64_t life_ns)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        live(path, root, seed, ends[1]);
    }
    assert_true(child > 0);
    close(ends[1]);
    listen_and_kill(r, child, ends[0], life_ns);
    close(ends[0]);
}

/* All that was ever reported, and that the file fits together; then one commit of our own. */
static void check_file(const reports *r, const char *path, const eid_id *root)
{
    eid_core *core = dt_open(path);
    eid_storage *storage = eid_core_storage(core);
    eid_storage_lock(storage);
    for (size_t i = 0; i < r->count; i++) {
        int64_t n;
        tu_assert_ok(eid_storage_find(storage, &r->ids[i], &n, NULL));
        if (n == 0)
            fail_msg("report %zu of %zu is lost", i, r->count);
    }
    eid_storage_unlock(storage);
    ti_check_core(core);
    eid_database *database = dt_open_as(core, root, 1);
    dt_commit_int(database, "s", "parent", (int64_t)r->count);
    assert_int_equal(dt_int(database, "s", "parent"), (int64_t)r->count);
    eid_database_close(database);
    eid_core_close(core);
}

static void test_killed_at_any_moment(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(eid_monotonic_ns());
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    eid_core *core = dt_open(path);
    eid_database *database = dt_create(core);
    eid_id root = *eid_database_root_id(database);
    eid_database_close(database);
    eid_core_close(core);
    reports r = {NULL, 0, 0};
    uint64_t start = eid_monotonic_ns();
    int rounds = 0;
    while (rounds < ROUNDS && eid_monotonic_ns() - start < BUDGET_S * 1000000000ull) {
        /* Often short: opening and recovering are moments too. */
        uint64_t most = rounds % 3 == 0 ? 10 : MOST_MS;
        run_child(&r, path, &root, tu_random_next(&random), tu_random_below(&random, most * 1000000));
        check_file(&r, path, &root);
        rounds++;
    }
    print_message("%d rounds, %zu entries reported, %d ms\n", rounds, r.count, (int)((eid_monotonic_ns() - start) / 1000000));
    assert_true(rounds >= 30);
    assert_true(r.count > 100);
    free(r.ids);
    free(path);
    tu_temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
