/* SPDX-License-Identifier: Apache-2.0 */
/* What the chat remembers between runs, and what it must not mistake for its memory. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <eidetica/eidetica.h>

#include "notebook.h"
#include "util.h"

struct fixture {
    eid_instance *instance;
    eid_user *user;
};

static int open_user(void **state)
{
    struct fixture *f = cli_alloc(sizeof *f);
    *state = f;
    if (eid_instance_open_url("memory:", &f->instance) != EID_OK ||
        eid_instance_login_or_create_user(f->instance, "alice", NULL, &f->user) != EID_OK) {
        fprintf(stderr, "set-up failed: %s\n", eid_last_error());
        return -1;
    }
    return 0;
}

static int close_user(void **state)
{
    struct fixture *f = *state;
    eid_user_logout(f->user);
    eid_instance_close(f->instance);
    free(f);
    return 0;
}

static eid_database *open_notebook(struct fixture *f)
{
    eid_database *notebook = NULL;
    assert_int_equal(notebook_open(f->user, true, &notebook), EID_OK);
    assert_non_null(notebook);
    return notebook;
}

/* An ID to take notes about: any will do. */
static eid_id new_room(struct fixture *f, const char *name)
{
    eid_database *room;
    assert_int_equal(eid_user_create_database(f->user, name, &room), EID_OK);
    eid_id id = *eid_database_root_id(room);
    eid_database_close(room);
    return id;
}

static void expect_note(eid_database *notebook, const eid_id *room, const char *ticket, const char *listen)
{
    struct note note;
    notebook_read(notebook, room, &note);
    if (ticket == NULL)
        assert_null(note.ticket);
    else
        assert_string_equal(note.ticket, ticket);
    if (listen == NULL)
        assert_null(note.listen);
    else
        assert_string_equal(note.listen, listen);
    note_free(&note);
    assert_null(note.ticket);
}

static void test_no_notebook_is_made_without_need(void **state)
{
    struct fixture *f = *state;
    eid_database *notebook = NULL;
    assert_int_equal(notebook_open(f->user, false, &notebook), EID_OK);
    assert_null(notebook);
}

static void test_new_notebook_is_empty(void **state)
{
    struct fixture *f = *state;
    eid_database *notebook = open_notebook(f);
    eid_id room = new_room(f, "room");
    eid_id last;
    assert_false(notebook_last_room(notebook, &last));
    expect_note(notebook, &room, NULL, NULL);
    eid_database_close(notebook);
}

static void test_notes_are_kept(void **state)
{
    struct fixture *f = *state;
    eid_id one = new_room(f, "one"), two = new_room(f, "two"), last;
    eid_database *notebook = open_notebook(f);
    assert_int_equal(notebook_write(notebook, &one, "ticket one", "127.0.0.1:1"), EID_OK);
    assert_int_equal(notebook_write(notebook, &two, NULL, "127.0.0.1:2"), EID_OK);
    eid_id same = *eid_database_root_id(notebook);
    eid_database_close(notebook);

    notebook = open_notebook(f);
    assert_true(eid_id_equal(eid_database_root_id(notebook), &same));
    expect_note(notebook, &one, "ticket one", "127.0.0.1:1");
    expect_note(notebook, &two, NULL, "127.0.0.1:2");
    assert_true(notebook_last_room(notebook, &last));
    assert_true(eid_id_equal(&last, &two));

    assert_int_equal(notebook_write(notebook, &one, NULL, "127.0.0.1:3"), EID_OK);
    expect_note(notebook, &one, NULL, "127.0.0.1:3");
    assert_true(notebook_last_room(notebook, &last));
    assert_true(eid_id_equal(&last, &one));
    eid_database_close(notebook);
}

/* Each start of the chat writes its note; a start that changes nothing must not let the file grow. */
static void test_the_same_note_makes_no_entry(void **state)
{
    struct fixture *f = *state;
    eid_id room = new_room(f, "room");
    eid_database *notebook = open_notebook(f);
    uint64_t before, after;
    assert_int_equal(notebook_write(notebook, &room, "ticket", "127.0.0.1:1"), EID_OK);
    assert_int_equal(eid_database_entry_count(notebook, &before), EID_OK);
    assert_int_equal(notebook_write(notebook, &room, "ticket", "127.0.0.1:1"), EID_OK);
    assert_int_equal(eid_database_entry_count(notebook, &after), EID_OK);
    assert_int_equal(before, after);
    assert_int_equal(notebook_write(notebook, &room, "ticket", "127.0.0.1:2"), EID_OK);
    assert_int_equal(eid_database_entry_count(notebook, &after), EID_OK);
    assert_int_equal(before + 1, after);
    eid_database_close(notebook);
}

/* A room that is shared is never the notebook, whatever it is called. */
static void test_a_shared_room_with_the_name_is_not_taken(void **state)
{
    struct fixture *f = *state;
    eid_database_preferences shared = EID_DATABASE_PREFERENCES_INIT;
    shared.sync_settings.sync_enabled = true;
    eid_id decoys[4];
    for (int i = 0; i < 4; i++) {
        decoys[i] = new_room(f, "eidetica-chat notebook");
        shared.database_id = decoys[i];
        assert_int_equal(eid_user_add_database(f->user, &shared), EID_OK);
    }
    eid_database *notebook = open_notebook(f);
    for (int i = 0; i < 4; i++)
        assert_false(eid_id_equal(eid_database_root_id(notebook), &decoys[i]));
    eid_database_close(notebook);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_notebook_is_made_without_need, open_user, close_user),
        cmocka_unit_test_setup_teardown(test_new_notebook_is_empty, open_user, close_user),
        cmocka_unit_test_setup_teardown(test_notes_are_kept, open_user, close_user),
        cmocka_unit_test_setup_teardown(test_the_same_note_makes_no_entry, open_user, close_user),
        cmocka_unit_test_setup_teardown(test_a_shared_room_with_the_name_is_not_taken, open_user, close_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
