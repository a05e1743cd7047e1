/* SPDX-License-Identifier: Apache-2.0 */
/* Every file the library makes can be read by its owner only, whatever the process's mask. */
#include "fixture.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <eidetica/maintenance.h>

/* Asserts the mode of every file there; their names, each followed by a space, in `names`. */
static void assert_private(const char *dir, char *names, size_t size)
{
    DIR *list = opendir(dir);
    struct dirent *entry;

    assert_non_null(list);
    names[0] = '\0';
    while ((entry = readdir(list)) != NULL) {
        struct stat about;
        if (entry->d_name[0] == '.')
            continue;
        char *path = tu_path(dir, entry->d_name);
        assert_int_equal(stat(path, &about), 0);
        if ((about.st_mode & 07777) != 0600)
            fail_msg("%s has the mode %o", entry->d_name, (unsigned)(about.st_mode & 07777));
        assert_true(strlen(names) + strlen(entry->d_name) + 2 < size);
        strcat(strcat(names, entry->d_name), " ");
        free(path);
    }
    closedir(list);
}

static void everything_is_private(void **state)
{
    fixture *f = *state;
    char *dir = tu_temp_dir(), *car = tu_path(dir, "notes.car"), *backup = tu_path(dir, "backup.db"),
         *key = tu_path(dir, "key"), url[700], names[500];
    mode_t mask = umask(0);
    eid_user *user;

    eid_instance_close(f->instance);
    snprintf(url, sizeof url, "sqlite:%s/a.db", dir);
    fixture_open_url(f, url);
    user = login(f, "alice");
    eid_database *notes = create(user, "notes");
    tu_assert_ok(try_to_write(notes, "page"));
    assert_private(dir, names, sizeof names);
    assert_non_null(strstr(names, "a.db-wal")); /* while it is open there is a log */
    tu_assert_ok(eid_database_export(notes, car));
    tu_assert_ok(eid_instance_backup(f->instance, backup, NULL, NULL));
    tu_assert_ok(eid_key_file_create(key));
    tu_assert_ok(eid_instance_protect(f->instance, key, NULL, 0));
    tu_assert_ok(eid_instance_compact(f->instance, NULL, NULL));
    tu_assert_ok(try_to_write(notes, "another"));
    assert_private(dir, names, sizeof names);
    assert_non_null(strstr(names, "notes.car "));
    assert_non_null(strstr(names, "backup.db "));
    assert_non_null(strstr(names, "key "));
    print_message("%s\n", names);
    eid_database_close(notes);
    eid_user_logout(user);
    eid_instance_close(f->instance);
    assert_private(dir, names, sizeof names);

    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    options.key_file = key;
    tu_assert_ok(eid_instance_open_url_with(url, &options, &f->instance));
    assert_private(dir, names, sizeof names);
    umask(mask);
    free(car);
    free(backup);
    free(key);
    tu_temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(everything_is_private),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
