/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the conversation: reading what others wrote, order, changes, deletions. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <eidetica/eidetica.h>

#include "messages.h"
#include "util.h"
#include "wake.h"

#define TIME "\"2025-10-09T08:53:20Z\""

/* ---- Single rows ---- */

static void expect_row(const char *row, const char *author, const char *content)
{
    struct message *message;
    if (!message_parse("key", row, strlen(row), &message))
        fail_msg("not read: %s", row);
    assert_string_equal(message->key, "key");
    assert_string_equal(message->author, author);
    assert_string_equal(message->content, content);
    message_free(message);
}

static void refuse_row(const char *row, size_t len)
{
    struct message *message = NULL;
    if (message_parse("key", row, len, &message))
        fail_msg("read: %s", row);
    assert_null(message);
}

static void test_reads_rows(void **state)
{
    (void)state;
    expect_row("{\"id\":\"1\",\"author\":\"alice\",\"content\":\"hi\",\"timestamp\":" TIME "}", "alice",
               "hi");
    expect_row(" { \"timestamp\" : " TIME ", \"content\":\"\\u4e16\", \"author\":\"\", \"id\":\"1\" } ", "",
               "世");
    expect_row("{\"id\":\"1\",\"author\":\"a\",\"content\":\"x\",\"timestamp\":" TIME
               ",\"more\":[1,{\"a\":null}]}",
               "a", "x");
    expect_row("{\"id\":\"1\",\"author\":\"\\u001b[31mred\",\"content\":\"two\\nlines\",\"timestamp\":" TIME
               "}",
               "\\x1b[31mred", "two\\nlines");
}

static void test_skips_what_is_no_message(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "null",
        "[]",
        "\"text\"",
        "17",
        "{",
        "{}",
        "not json",
        "{\"author\":\"a\",\"content\":\"x\",\"timestamp\":" TIME "}",
        "{\"id\":\"1\",\"content\":\"x\",\"timestamp\":" TIME "}",
        "{\"id\":\"1\",\"author\":\"a\",\"timestamp\":" TIME "}",
        "{\"id\":\"1\",\"author\":\"a\",\"content\":\"x\"}",
        "{\"id\":\"1\",\"author\":7,\"content\":\"x\",\"timestamp\":" TIME "}",
        "{\"id\":\"1\",\"author\":\"a\",\"content\":{\"x\":1},\"timestamp\":" TIME "}",
        "{\"id\":\"1\",\"author\":\"a\",\"content\":\"\",\"timestamp\":" TIME "}",
        "{\"id\":\"1\",\"author\":\"a\",\"content\":\"x\",\"timestamp\":1760000000}",
        "{\"id\":\"1\",\"author\":\"a\",\"content\":\"x\",\"timestamp\":\"soon\"}",
        "{\"id\":\"1\",\"author\":\"a\",\"content\":\"x\",\"timestamp\":" TIME "} trailing",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        refuse_row(rows[i], strlen(rows[i]));
    static const char with_zero[] =
        "{\"id\":\"1\",\"author\":\"a\",\"content\":\"x\",\"timestamp\":" TIME "}\0{";
    refuse_row(with_zero, sizeof with_zero - 1);
}

static void test_cut_rows_never_pass(void **state)
{
    (void)state;
    static const char row[] = "{\"id\":\"1\",\"author\":\"a\",\"content\":\"x\",\"timestamp\":" TIME "}";
    for (size_t len = 0; len + 1 < sizeof row; len++)
        refuse_row(row, len);
}

static void test_writes_rows_it_reads(void **state)
{
    (void)state;
    struct stamp time = {1760000000, 5};
    char *row = message_row("1", "al\"ice\\", "tab\there \x01 世界", time);
    struct message *message;
    assert_true(message_parse("1", row, strlen(row), &message));
    assert_string_equal(message->author, "al\"ice\\");
    assert_string_equal(message->content, "tab here \\x01 世界");
    assert_int_equal(stamp_compare(message->time, time), 0);
    message_free(message);
    free(row);
}

/* ---- The list over a database ---- */

struct fixture {
    eid_instance *instance;
    eid_user *user;
    eid_database *database;
    struct messages *messages;
};

static int open_list(void **state)
{
    struct fixture *f = cli_alloc(sizeof *f);
    *state = f;
    if (eid_instance_open_url("memory:", &f->instance) != EID_OK ||
        eid_instance_login_or_create_user(f->instance, "alice", NULL, &f->user) != EID_OK ||
        eid_user_create_database(f->user, "room", &f->database) != EID_OK ||
        messages_open(f->database, &f->messages) != EID_OK) {
        fprintf(stderr, "set-up failed: %s\n", eid_last_error());
        return -1;
    }
    return 0;
}

static int close_list(void **state)
{
    struct fixture *f = *state;
    messages_close(f->messages);
    eid_database_close(f->database);
    eid_user_logout(f->user);
    eid_instance_close(f->instance);
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *key, const char *row)
{
    eid_txn *txn;
    assert_int_equal(eid_database_new_transaction(f->database, &txn), EID_OK);
    assert_int_equal(eid_table_set(txn, MESSAGES_STORE, key, row), EID_OK);
    assert_int_equal(eid_txn_commit_free(txn, NULL), EID_OK);
}

static void put_message(struct fixture *f, const char *key, int64_t seconds, const char *content)
{
    char *row = message_row(key, "alice", content, (struct stamp){seconds, 0});
    put(f, key, row);
    free(row);
}

static void refresh(struct fixture *f, bool expected)
{
    bool changed;
    assert_int_equal(messages_refresh(f->messages, &changed), EID_OK);
    assert_int_equal(changed, expected);
}

static void expect_contents(struct fixture *f, const char *expected)
{
    char *all = cli_copy("");
    for (size_t i = 0; i < messages_count(f->messages); i++) {
        char *longer = cli_format("%s%s%s", all, i > 0 ? "," : "", messages_at(f->messages, i)->content);
        free(all);
        all = longer;
    }
    assert_string_equal(all, expected);
    free(all);
}

static char *taken; /* what the callback was given, joined */

static void take(const struct message *message)
{
    char *longer = cli_format("%s%s%s", taken, taken[0] != '\0' ? "," : "", message->content);
    free(taken);
    taken = longer;
}

static void expect_new(struct fixture *f, const char *expected)
{
    taken = cli_copy("");
    messages_take_new(f->messages, take);
    assert_string_equal(taken, expected);
    free(taken);
}

static void test_new_messages_are_taken_once(void **state)
{
    struct fixture *f = *state;
    expect_new(f, "");
    put_message(f, "k2", 200, "two");
    put_message(f, "k1", 100, "one");
    refresh(f, true);
    expect_new(f, "one,two");
    expect_new(f, "");
    put_message(f, "k0", 50, "late, but old");
    put_message(f, "k3", 300, "three");
    refresh(f, true);
    expect_new(f, "late, but old,three");
    put_message(f, "k4", 400, "gone before it was shown");
    refresh(f, true);
    put(f, "k4", "{}");
    refresh(f, true);
    expect_new(f, "");
    put_message(f, "k4", 400, "back");
    refresh(f, true);
    expect_new(f, "back");
}

static void test_list_is_ordered(void **state)
{
    struct fixture *f = *state;
    refresh(f, false);
    expect_contents(f, "");
    put_message(f, "k3", 300, "third");
    put_message(f, "k1", 100, "first");
    put_message(f, "kb", 200, "tie-b");
    put_message(f, "ka", 200, "tie-a");
    refresh(f, true);
    expect_contents(f, "first,tie-a,tie-b,third");
    refresh(f, false);
}

static void test_changes_and_deletions(void **state)
{
    struct fixture *f = *state;
    put_message(f, "k1", 100, "one");
    put_message(f, "k2", 200, "two");
    refresh(f, true);
    expect_new(f, "one,two");
    put_message(f, "k1", 300, "moved");
    refresh(f, true);
    expect_contents(f, "two,moved");
    expect_new(f, ""); /* changed, but shown before */

    put(f, "k2", "{\"broken\":true}");
    refresh(f, true);
    expect_contents(f, "moved");

    eid_txn *txn;
    bool deleted;
    assert_int_equal(eid_database_new_transaction(f->database, &txn), EID_OK);
    assert_int_equal(eid_table_delete(txn, MESSAGES_STORE, "k1", &deleted), EID_OK);
    assert_true(deleted);
    assert_int_equal(eid_txn_commit_free(txn, NULL), EID_OK);
    refresh(f, true);
    expect_contents(f, "");
}

static void test_bad_rows_are_skipped(void **state)
{
    struct fixture *f = *state;
    put(f, "bad", "{\"id\":\"1\"}");
    refresh(f, false);
    put_message(f, "good", 100, "good");
    put(f, "list", "[]");
    refresh(f, true);
    expect_contents(f, "good");
}

static void test_other_stores_do_not_matter(void **state)
{
    struct fixture *f = *state;
    eid_txn *txn;
    assert_int_equal(eid_database_new_transaction(f->database, &txn), EID_OK);
    assert_int_equal(eid_docstore_set_text(txn, "topic", "text", "hello"), EID_OK);
    assert_int_equal(eid_txn_commit_free(txn, NULL), EID_OK);
    refresh(f, false);
}

static void test_many_changes_at_once(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 5000 }; /* more than the list reads one by one */
    eid_txn *txn;
    assert_int_equal(eid_database_new_transaction(f->database, &txn), EID_OK);
    for (int i = 0; i < COUNT; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%05d", i);
        char *row = message_row(key, "alice", key, (struct stamp){COUNT - i, 0});
        assert_int_equal(eid_table_set(txn, MESSAGES_STORE, key, row), EID_OK);
        free(row);
    }
    assert_int_equal(eid_txn_commit_free(txn, NULL), EID_OK);
    refresh(f, true);
    assert_int_equal(messages_count(f->messages), COUNT);
    for (size_t i = 1; i < COUNT; i++)
        assert_true(messages_at(f->messages, i - 1)->time.seconds <
                    messages_at(f->messages, i)->time.seconds);
    assert_string_equal(messages_at(f->messages, 0)->content, "k04999");
}

static void test_sending_and_reopening(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(messages_send(f->messages, "alice", "one"), EID_OK);
    assert_int_equal(messages_send(f->messages, "bob \"b\"", "two\nlines"), EID_OK);
    refresh(f, true);
    expect_contents(f, "one,two\\nlines");
    assert_int_equal(strlen(messages_at(f->messages, 0)->key), EID_ROW_KEY_SIZE - 1);

    messages_close(f->messages);
    f->messages = NULL;
    assert_int_equal(messages_open(f->database, &f->messages), EID_OK);
    expect_contents(f, "one,two\\nlines");
    assert_string_equal(messages_at(f->messages, 1)->author, "bob \"b\"");
    refresh(f, false);
}

/* ---- Writers on several threads ---- */

/* The first write is stored, but its callbacks do not get past this one before it is allowed. */
struct gate {
    struct fixture *fixture;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool reached;
    bool open;
};

static void hold_first(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)database;
    (void)entry;
    (void)source;
    struct gate *gate = ctx;
    pthread_mutex_lock(&gate->lock);
    bool first = !gate->reached;
    gate->reached = true;
    pthread_cond_broadcast(&gate->moved);
    while (first && !gate->open)
        pthread_cond_wait(&gate->moved, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void *write_one(void *ctx)
{
    struct gate *gate = ctx;
    put_message(gate->fixture, "k1", 100, "one");
    return NULL;
}

/* Entries that arrive on two connections are told by two threads, the later one perhaps first. */
static void test_order_of_one_writer(void **state)
{
    struct fixture *f = *state;
    struct gate gate = {f, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    eid_callback *before;
    pthread_t thread;
    messages_close(f->messages);
    f->messages = NULL;
    assert_int_equal(eid_database_on_write(f->database, hold_first, &gate, &before), EID_OK);
    assert_int_equal(messages_open(f->database, &f->messages), EID_OK);
    assert_int_equal(pthread_create(&thread, NULL, write_one, &gate), 0);
    pthread_mutex_lock(&gate.lock);
    while (!gate.reached)
        pthread_cond_wait(&gate.moved, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    put_message(f, "k2", 200, "two");
    refresh(f, true);
    expect_new(f, "one,two");
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.moved);
    pthread_mutex_unlock(&gate.lock);
    pthread_join(thread, NULL);
    refresh(f, false);
    eid_callback_remove(before);
}

int main(void)
{
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        puts("skipped: the locale C.UTF-8 is not there, and widths need it");
        return 77;
    }
    if (!wake_open())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_rows),
        cmocka_unit_test(test_skips_what_is_no_message),
        cmocka_unit_test(test_cut_rows_never_pass),
        cmocka_unit_test(test_writes_rows_it_reads),
        cmocka_unit_test_setup_teardown(test_list_is_ordered, open_list, close_list),
        cmocka_unit_test_setup_teardown(test_new_messages_are_taken_once, open_list, close_list),
        cmocka_unit_test_setup_teardown(test_changes_and_deletions, open_list, close_list),
        cmocka_unit_test_setup_teardown(test_bad_rows_are_skipped, open_list, close_list),
        cmocka_unit_test_setup_teardown(test_other_stores_do_not_matter, open_list, close_list),
        cmocka_unit_test_setup_teardown(test_many_changes_at_once, open_list, close_list),
        cmocka_unit_test_setup_teardown(test_sending_and_reopening, open_list, close_list),
        cmocka_unit_test_setup_teardown(test_order_of_one_writer, open_list, close_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
