/* SPDX-License-Identifier: Apache-2.0 */
/* New private files: their mode, what is never overwritten, and what is left behind on failure. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "base/file.h"
#include "support/testutil.h"

static void test_a_new_file(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "new");
    int fd = -1;
    mode_t old = umask(0);
    tu_assert_ok(eid_file_create(path, &fd));
    umask(old);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    tu_assert_ok(eid_file_write(fd, path, "one ", 4));
    tu_assert_ok(eid_file_write(fd, path, "", 0));
    tu_assert_ok(eid_file_write(fd, path, "two", 3));
    tu_assert_ok(eid_file_finish(fd, path));
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
    size_t len;
    uint8_t *bytes = tu_read_file(path, &len);
    assert_int_equal(len, 7);
    assert_memory_equal(bytes, "one two", 7);
    free(bytes);
    free(path);
    tu_temp_dir_remove(dir);
}

static void test_nothing_is_overwritten(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "there"), *link = tu_path(dir, "link");
    int fd = -7;
    tu_write_file(path, "old", 3);
    tu_assert_fails(eid_file_create(path, &fd), EID_ERR_ALREADY_EXISTS);
    tu_assert_fails(eid_file_create(dir, &fd), EID_ERR_ALREADY_EXISTS);
    char *nowhere = tu_path(dir, "nowhere");
    assert_int_equal(symlink(nowhere, link), 0);
    tu_assert_fails(eid_file_create(link, &fd), EID_ERR_ALREADY_EXISTS);
    assert_int_equal(access(nowhere, F_OK), -1);
    assert_int_equal(fd, -7);
    size_t len;
    uint8_t *bytes = tu_read_file(path, &len);
    assert_memory_equal(bytes, "old", 4);
    free(bytes);
    free(nowhere);
    free(link);
    free(path);
    tu_temp_dir_remove(dir);
}

static void test_places_that_are_none(void **state)
{
    (void)state;
    int fd = -7;
    tu_assert_fails(eid_file_create("", &fd), EID_ERR_IO);
    tu_assert_fails(eid_file_create("/nonexistent-folder/file", &fd), EID_ERR_IO);
    assert_non_null(strstr(eid_last_error(), "/nonexistent-folder/file"));
    if (geteuid() == 0) {
        printf("[   NOTE   ] folders without permission are not tried: root may write everywhere\n");
    } else {
        char *dir = tu_temp_dir(), *path = tu_path(dir, "new");
        assert_int_equal(chmod(dir, 0500), 0);
        tu_assert_fails(eid_file_create(path, &fd), EID_ERR_READ_ONLY);
        assert_int_equal(chmod(dir, 0700), 0);
        free(path);
        tu_temp_dir_remove(dir);
    }
    assert_int_equal(fd, -7);
}

static void test_discarded(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "new");
    int fd;
    tu_assert_ok(eid_file_create(path, &fd));
    tu_assert_ok(eid_file_write(fd, path, "half", 4));
    eid_file_discard(fd, path);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    free(path);
    tu_temp_dir_remove(dir);
}

/* The system's own ways to say no. */
static void test_failing_writes(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (full < 0) {
        printf("[   NOTE   ] no /dev/full here: %s\n", strerror(errno));
    } else {
        tu_assert_fails(eid_file_write(full, "/dev/full", "x", 1), EID_ERR_DISK_FULL);
        close(full);
    }
    char *dir = tu_temp_dir(), *path = tu_path(dir, "new");
    int fd;
    tu_assert_ok(eid_file_create(path, &fd));
    struct rlimit unlimited, small = {10, 10};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    small.rlim_max = unlimited.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    eid_status status = eid_file_write(fd, path, "more than ten bytes", 19); /* ten fit, then the limit speaks */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, EID_ERR_IO);
    eid_file_discard(fd, path);
    /* A descriptor that can not be synced: the file goes away. */
    tu_assert_ok(eid_file_create(path, &fd));
    close(fd);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    close(pipes[0]);
    tu_assert_fails(eid_file_finish(pipes[1], path), EID_ERR_IO);
    assert_int_equal(access(path, F_OK), -1);
    free(path);
    tu_temp_dir_remove(dir);
}

static void test_failures_have_their_codes(void **state)
{
    (void)state;
    static const struct {
        int error;
        eid_status status;
    } cases[] = {{EEXIST, EID_ERR_ALREADY_EXISTS}, {EACCES, EID_ERR_READ_ONLY}, {EPERM, EID_ERR_READ_ONLY},
                 {EROFS, EID_ERR_READ_ONLY},       {ENOSPC, EID_ERR_DISK_FULL}, {EDQUOT, EID_ERR_DISK_FULL},
                 {EIO, EID_ERR_IO},                {ENOENT, EID_ERR_IO},        {EMFILE, EID_ERR_IO}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tu_assert_fails(eid_file_failure(cases[i].error, "the/file", "Writing"), cases[i].status);
        assert_non_null(strstr(eid_last_error(), "the/file"));
    }
}

static eid_status finish_step(void *ctx)
{
    const char *path = ctx;
    int fd;
    EID_TRY(eid_file_create(path, &fd));
    eid_status status = eid_file_finish(fd, path);
    assert_int_equal(access(path, F_OK) == 0, status == EID_OK);
    unlink(path);
    return status;
}

static void test_without_memory(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "new");
    assert_int_equal(tu_alloc_fault_loop(finish_step, path), 1);
    free(path);
    tu_temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_file),
        cmocka_unit_test(test_nothing_is_overwritten),
        cmocka_unit_test(test_places_that_are_none),
        cmocka_unit_test(test_discarded),
        cmocka_unit_test(test_failing_writes),
        cmocka_unit_test(test_failures_have_their_codes),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
