/* SPDX-License-Identifier: Apache-2.0 */
/* A process that makes users and databases, changes passwords and the instance's secret is killed at any moment, again and
 * again on the same file. Each of these is written in several databases or records; what the next process finds is all of it
 * or nothing: every user logs in with the last password or the one before, every tracked database opens. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <eidetica/eidetica.h>

#include "base/clock.h"
#include "support/testutil.h"

#define ROUNDS 14
#define MOST_MS 400 /* longest life of a child after it has opened the file */
#define BUDGET_S 60 /* the whole test; rounds are left out beyond, and it says so */

/* What a child has finished. */
typedef struct news {
    char what; /* 'o'pened, 'u'ser, 'd'atabase, 'p'assword, 's'ecret */
    int number;
} news;

typedef struct known {
    int users;    /* "user 1" to this number exist */
    int databases;
    int password; /* of alice; the next one may be hers already */
    int secret;   /* of the instance; likewise */
} known;

static void text_of(char out[32], const char *kind, int number)
{
    snprintf(out, 32, "%s %d", kind, number);
}

static eid_status open_it(const char *url, int secret, eid_instance **out)
{
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    char text[32];

    text_of(text, "secret", secret);
    options.secret = text;
    options.secret_len = strlen(text);
    return eid_instance_open_url_with(url, &options, out);
}

static eid_status log_in(eid_instance *instance, int password, eid_user **out)
{
    char text[32];

    text_of(text, "password", password);
    return eid_instance_login_user(instance, "alice", text, out);
}

/* ---- The child ---- */

static void report(int fd, char what, int number)
{
    news n = {what, number};
    if (write(fd, &n, sizeof n) != (ssize_t)sizeof n)
        _exit(2);
}

static void need(eid_status status)
{
    if (status != EID_OK)
        _exit(3);
}

static void act(eid_instance *instance, eid_user *alice, known *k, tu_random *random, int fd)
{
    char text[32], next[32];
    eid_database *database;

    switch (tu_random_below(random, 5)) {
    case 0:
        text_of(text, "user", k->users + 1);
        need(eid_instance_create_user(instance, text, NULL));
        report(fd, 'u', ++k->users);
        break;
    case 1:
        text_of(text, "password", k->password);
        text_of(next, "password", k->password + 1);
        need(eid_user_change_password(alice, text, next));
        report(fd, 'p', ++k->password);
        break;
    case 2:
        text_of(text, "secret", k->secret + 1);
        need(eid_instance_protect(instance, NULL, text, strlen(text)));
        report(fd, 's', ++k->secret);
        break;
    case 3:
        text_of(text, "key", (int)tu_random_below(random, 1000000));
        need(eid_instance_add_private_key(instance, text, NULL));
        break;
    default:
        text_of(text, "database", k->databases + 1);
        need(eid_user_create_database(alice, text, &database));
        eid_database_close(database);
        report(fd, 'd', ++k->databases);
        break;
    }
}

static void live(const char *url, known k, uint64_t seed, int fd)
{
    tu_random random = {seed};
    eid_instance *instance;
    eid_user *alice;

    need(open_it(url, k.secret, &instance));
    need(log_in(instance, k.password, &alice));
    report(fd, 'o', 0);
    for (;;)
        act(instance, alice, &k, &random, fd);
}

/* ---- The parent ---- */

static void take_news(known *k, const news *n)
{
    if (n->what == 'u')
        k->users = n->number;
    if (n->what == 'd')
        k->databases = n->number;
    if (n->what == 'p')
        k->password = n->number;
    if (n->what == 's')
        k->secret = n->number;
}

/* Reads what the child tells until it is killed. */
static void let_live(const char *url, known *k, tu_random *random)
{
    uint64_t seed = tu_random_next(random), most = tu_random_below(random, MOST_MS);
    bool opened = false;
    int ends[2];
    news n;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        live(url, *k, seed, ends[1]);
    }
    close(ends[1]);
    uint64_t end_ms = UINT64_MAX;
    for (;;) {
        uint64_t now = eid_monotonic_ns() / 1000000;
        if (now >= end_ms)
            break;
        struct pollfd wait = {ends[0], POLLIN, 0};
        int ready = poll(&wait, 1, opened ? (int)(end_ms - now) : 30000);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0 && !opened)
            fail_msg("the child did not open the file in time");
        if (ready <= 0)
            break;
        if (read(ends[0], &n, sizeof n) != (ssize_t)sizeof n)
            break;
        take_news(k, &n);
        if (n.what == 'o') {
            opened = true;
            end_ms = eid_monotonic_ns() / 1000000 + most;
        }
    }
    kill(child, SIGKILL);
    while (read(ends[0], &n, sizeof n) == (ssize_t)sizeof n)
        take_news(k, &n);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("the child ended by itself with %d", WEXITSTATUS(status));
}

static void check_databases(eid_user *alice, known *k)
{
    eid_database_preferences *list;
    char name[32];
    size_t count;

    tu_assert_ok(eid_user_list_database_prefs(alice, &list, &count));
    assert_true(count == (size_t)k->databases || count == (size_t)k->databases + 1);
    k->databases = (int)count;
    for (size_t i = 0; i < count; i++) {
        eid_database *database;
        char *found;
        tu_assert_ok(eid_user_open_database(alice, &list[i].database_id, &database));
        tu_assert_ok(eid_database_name(database, &found));
        text_of(name, "database", (int)i + 1);
        assert_string_equal(found, name); /* in the order they were made */
        eid_free(found);
        eid_database_close(database);
    }
    eid_database_preferences_free(list, count);
}

/* Every database of the file is known: system databases, private ones, tracked ones; a half-made one would be one more. */
static void check_users(eid_instance *instance, known *k)
{
    eid_user_info *users;
    eid_id *ids;
    size_t count, databases;
    char name[32];

    tu_assert_ok(eid_instance_list_users(instance, &users, &count));
    eid_free(users);
    assert_true(count == (size_t)k->users + 1 || count == (size_t)k->users + 2); /* alice is one */
    k->users = (int)count - 1;
    for (int i = 1; i <= k->users; i++) {
        eid_user *user;
        text_of(name, "user", i);
        tu_assert_ok(eid_instance_login_user(instance, name, NULL, &user));
        eid_user_logout(user);
    }
    tu_assert_ok(eid_instance_list_databases(instance, &ids, &databases));
    eid_free(ids);
    assert_int_equal(databases, 2 + count + (size_t)k->databases);
}

static void check(const char *url, known *k)
{
    eid_instance *instance;
    eid_user *alice;

    if (open_it(url, k->secret, &instance) != EID_OK)
        tu_assert_ok(open_it(url, ++k->secret, &instance));
    if (log_in(instance, k->password, &alice) != EID_OK)
        tu_assert_ok(log_in(instance, ++k->password, &alice));
    check_databases(alice, k);
    check_users(instance, k);
    eid_user_logout(alice);
    eid_instance_close(instance);
}

static void killed_at_any_moment(void **state)
{
    char *dir = tu_temp_dir(), *path = tu_path(dir, "a.db"), url[700], text[32];
    uint64_t began = eid_monotonic_ns();
    tu_random random = tu_random_seeded(77);
    eid_instance *instance;
    known k = {0, 0, 0, 0};
    int round;

    (void)state;
    snprintf(url, sizeof url, "sqlite:%s", path);
    tu_assert_ok(open_it(url, 0, &instance));
    text_of(text, "password", 0);
    tu_assert_ok(eid_instance_create_user(instance, "alice", text));
    eid_instance_close(instance);
    for (round = 0; round < ROUNDS && eid_monotonic_ns() - began < BUDGET_S * UINT64_C(1000000000); round++) {
        let_live(url, &k, &random);
        check(url, &k);
    }
    if (round < ROUNDS)
        print_message("only %d of %d rounds: time was up\n", round, ROUNDS);
    print_message("%d users, %d databases, %d passwords, %d secrets\n", k.users, k.databases, k.password, k.secret);
    assert_true(round >= 3 && k.users + k.databases + k.password + k.secret > 10);
    free(path);
    tu_temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_at_any_moment)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
