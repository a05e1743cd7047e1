/* SPDX-License-Identifier: Apache-2.0 */
/* Where secrets are in the memory of the process: while they are used, only in guarded pages, which are left out of core
 * dumps; after their session or instance was closed, nowhere. All readable memory is searched, stacks included.
 *
 * What is tried runs on a stack of its own, so that the search does not write over what calls have left there.
 * What is looked for stands in the test itself only with every bit turned. An instance without protection and a user without
 * password keep their keys in the data file in clear, so those pass through buffers of the storage; they are not tried here. */
#include "fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "instance/instance_int.h"

#define CHUNK (1u << 20)

/* Sanitizers keep copies of what they watch, and terabytes of their own that would be searched. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define WATCHED 1
#endif
#endif
#if !defined(WATCHED) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define WATCHED 1
#endif

/* Secrets are looked for in pieces, since what is left of one often has lost its beginning to whoever took the memory next. */
#define PIECE 10

typedef struct piece {
    const char *what;
    uint8_t turned[PIECE]; /* every bit turned */
} piece;

static piece secrets[150];
static size_t secret_count;

/* Takes the bytes over: what is given is wiped. */
static void look_for(const char *what, void *bytes, size_t len)
{
    for (size_t at = 0; at + PIECE <= len; at += PIECE) {
        piece *s = &secrets[secret_count++];
        assert_true(secret_count <= sizeof secrets / sizeof *secrets);
        s->what = what;
        for (size_t i = 0; i < PIECE; i++)
            s->turned[i] = (uint8_t)~((uint8_t *)bytes)[at + i];
    }
    eid_wipe(bytes, len);
}

/* Both forms of a private key. */
static void look_for_key(const char *what, const eid_keypair *key)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    uint8_t seed[32];
    const uint8_t *inside = (const uint8_t *)key; /* it begins with its seed */

    eid_keypair_format(key, text);
    look_for(what, text + strlen("ed25519:"), strlen(text) - strlen("ed25519:"));
    memcpy(seed, inside, sizeof seed);
    look_for(what, seed, sizeof seed);
}

typedef struct found {
    size_t guarded;
    size_t elsewhere;
    char where[200];
} found;

/* The memory the search itself works in, which is not searched. */
static uint8_t *window;

static bool begins_here(const uint8_t *memory, const piece *s)
{
    for (size_t i = 0; i < PIECE; i++)
        if ((memory[i] ^ s->turned[i]) != 0xff)
            return false;
    return true;
}

static size_t count_in(const uint8_t *memory, size_t len, const piece *s)
{
    size_t count = 0;
    const uint8_t first = (uint8_t)~s->turned[0];

    for (const uint8_t *at = memory; len >= PIECE && at <= memory + len - PIECE; at++) {
        at = memchr(at, first, (size_t)(memory + len - PIECE - at) + 1);
        if (at == NULL)
            break;
        count += begins_here(at, s);
    }
    return count;
}

static void search_region(int fd, uint64_t from, uint64_t to, bool guarded, const char *line, found *out)
{
    for (uint64_t at = from; at < to; at += CHUNK - 128) {
        size_t want = to - at < CHUNK ? (size_t)(to - at) : CHUNK;
        ssize_t got = pread(fd, window, want, (off_t)at);
        if (got <= 0)
            return; /* a guard page */
        for (size_t i = 0; i < secret_count; i++) {
            size_t count = count_in(window, (size_t)got, &secrets[i]);
            if (count > 0 && !guarded && out->elsewhere == 0)
                snprintf(out->where, sizeof out->where, "%s in %.150s", secrets[i].what, line);
            *(guarded ? &out->guarded : &out->elsewhere) += count;
        }
        if (to - at <= CHUNK)
            return;
    }
}

/* Regions with the flag dd are left out of core dumps. */
static found search_memory(void)
{
    found result = {0, 0, ""};
    FILE *maps = fopen("/proc/self/smaps", "r");
    int fd = open("/proc/self/mem", O_RDONLY);
    unsigned long long from = 0, to = 0;
    char line[400], region[400] = "", mode[8] = "";

    assert_non_null(maps);
    assert_true(fd >= 0);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long long a, b;
        char m[8];
        if (sscanf(line, "%llx-%llx %7s", &a, &b, m) == 3) {
            from = a;
            to = b;
            strcpy(mode, m);
            line[strcspn(line, "\n")] = '\0';
            strcpy(region, line);
        } else if (strncmp(line, "VmFlags:", 8) == 0 && mode[0] == 'r' && strstr(region, "[v") == NULL &&
                   (uint64_t)(uintptr_t)window != from) {
            search_region(fd, from, to, strstr(line, " dd") != NULL, region, &result);
        }
    }
    fclose(maps);
    close(fd);
    return result;
}

static void assert_only_guarded(const char *moment)
{
    found f = search_memory();

    if (f.elsewhere > 0)
        fail_msg("%s: %zu times outside of guarded memory, such as %s", moment, f.elsewhere, f.where);
    assert_true(f.guarded > 0);
}

static void assert_nowhere(const char *moment)
{
    found f = search_memory();

    if (f.elsewhere + f.guarded > 0)
        fail_msg("%s: %zu times, %zu of them guarded; such as %s", moment, f.elsewhere + f.guarded, f.guarded, f.where);
}

/* ---- The other stack ---- */

#define STACK (1u << 20)

static ucontext_t searching, trying;
static const char *moment_name; /* NULL: the trial is over */
static bool moment_closed;

/* Called by a trial: has the memory searched. */
static void moment(const char *name, bool closed)
{
    moment_name = name;
    moment_closed = closed;
    assert_int_equal(swapcontext(&trying, &searching), 0);
}

static void (*trial)(void);

static void enter(void)
{
    trial();
    moment_name = NULL;
}

static void run(void (*function)(void))
{
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(stack != MAP_FAILED);
    trial = function;
    assert_int_equal(getcontext(&trying), 0);
    trying.uc_stack.ss_sp = stack;
    trying.uc_stack.ss_size = STACK;
    trying.uc_link = &searching;
    makecontext(&trying, enter, 0);
    for (;;) {
        moment_name = NULL;
        assert_int_equal(swapcontext(&searching, &trying), 0);
        if (moment_name == NULL)
            break;
        if (moment_closed)
            assert_nowhere(moment_name);
        else
            assert_only_guarded(moment_name);
    }
    assert_int_equal(munmap(stack, STACK), 0);
}

static int prepare(void **state)
{
    (void)state;
    /* A mapping of its own, so that the search does not find what it reads. */
    window = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(window != MAP_FAILED);
    assert_int_equal(madvise(window, CHUNK, MADV_DONTDUMP), 0); /* so that it is not joined with a neighbour */
    secret_count = 0;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return munmap(window, CHUNK);
}

/* ---- What is tried ---- */

/* A password that is not in the program's text as it is. */
static void secret_text(char out[24])
{
    for (int i = 0; i < 23; i++)
        out[i] = (char)('a' + (i * 7 + 5) % 23);
    out[23] = '\0';
}

static void the_search_finds_what_is_there(void **state)
{
    char text[24], copy[24], *block = malloc(24);

    (void)state;
    secret_text(text);
    memcpy(block, text, 24);
    memcpy(copy, text, 24);
    look_for("a text", text, 23);
    assert_true(search_memory().elsewhere >= 2);
    eid_wipe(block, 24);
    eid_wipe(copy, 24);
    free(block);
    assert_int_equal(search_memory().elsewhere, 0);
    eid_keypair *key;
    tu_assert_ok(eid_keypair_generate(&key));
    look_for_key("a key", key);
    assert_only_guarded("a key that was made");
    eid_keypair_free(key);
    assert_nowhere("a key that was freed");
}

/* Everything a protected instance and a user with a password do with keys, each secret followed to its end. */
static void whole_life(void)
{
    char *dir = tu_temp_dir(), *path = tu_path(dir, "a.db"), url[700], password[24], again[24];
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    eid_instance *instance;
    eid_user *alice, *bob, *wrong = NULL;
    eid_keypair *exported, *named;
    eid_database *notes;
    eid_pubkey key;

    snprintf(url, sizeof url, "sqlite:%s", path);
    options.secret = "of the environment";
    options.secret_len = 18;
    tu_assert_ok(eid_instance_open_url_with(url, &options, &instance));
    look_for_key("the device key", instance->device);
    uint8_t master[EID_AEAD_KEY];
    memcpy(master, instance->protection.master, sizeof master);
    look_for("the master key", master, sizeof master);
    tu_assert_ok(eid_instance_add_private_key(instance, "mine", NULL));
    tu_assert_ok(eid_instance_copy_private_key(instance, "mine", &named));
    look_for_key("a named key", named);
    eid_keypair_free(named);
    moment("a new instance", false);

    secret_text(password);
    tu_assert_ok(eid_instance_create_user(instance, "alice", password));
    tu_assert_ok(eid_instance_login_user(instance, "alice", password, &alice));
    tu_assert_fails(eid_instance_login_user(instance, "alice", "wrong", &wrong), EID_ERR_INVALID_PASSWORD);
    look_for_key("the root key", eid_user_default_keypair(alice));
    tu_assert_ok(eid_user_add_private_key(alice, "more", &key));
    tu_assert_ok(eid_user_export_private_key(alice, &key, &exported));
    look_for_key("an added key", exported);
    tu_assert_ok(eid_instance_login_or_create_user(instance, "bob", NULL, &bob));
    look_for_key("the key of a user without password", eid_user_default_keypair(bob));
    tu_assert_ok(eid_user_import_private_key(bob, exported, "from alice"));
    eid_keypair_free(exported);
    notes = create(alice, "notes");
    tu_assert_ok(try_to_write(notes, "page"));
    tu_assert_ok(eid_user_set_default_key(alice, &key));
    memcpy(again, password, sizeof again);
    again[0] = 'X';
    tu_assert_ok(eid_user_change_password(alice, password, again));
    look_for("a password", password, 23);
    look_for("another password", again, 23);
    tu_assert_ok(eid_instance_protect(instance, NULL, "another of these", 16));
    moment("at work", false);
    tu_assert_ok(eid_instance_flush(instance));

    eid_database_close(notes);
    eid_user_logout(alice);
    eid_user_logout(bob);
    moment("after logging out", false); /* the device key and named keys are still needed */
    eid_instance_close(instance);
    moment("after closing", true);

    /* Once more from the file: reading them leaves nothing either. */
    options.secret = "another of these";
    options.secret_len = 16;
    tu_assert_ok(eid_instance_open_url_with(url, &options, &instance));
    tu_assert_ok(eid_instance_login_user(instance, "bob", NULL, &bob));
    moment("opened again", false);
    eid_user_logout(bob);
    eid_instance_close(instance);
    moment("closed again", true);
    free(path);
    tu_temp_dir_remove(dir);
}

/* Failures wipe as well. */
static void refused_texts(void)
{
    eid_keypair *key, *parsed = NULL;
    char text[EID_PUBKEY_TEXT_SIZE], clear[EID_PUBKEY_TEXT_SIZE];
    eid_key_storage storage;
    eid_pubkey other;

    tu_assert_ok(eid_keypair_generate(&key));
    look_for_key("a key", key);
    eid_keypair_format(key, text);
    text[51] = '!';
    tu_assert_fails(eid_keypair_parse(text, &parsed), EID_ERR_INVALID_KEY);
    eid_wipe(text, sizeof text);
    tu_assert_ok(eid_key_storage_make(key, NULL, &storage));
    memset(&other, 0, sizeof other);
    tu_assert_fails(eid_key_storage_open(&storage, NULL, &other, &parsed), EID_ERR_CORRUPT);
    eid_key_storage_free(&storage);
    eid_keypair_format(key, clear);
    eid_wipe(clear, sizeof clear);
    moment("refused", false);
    eid_keypair_free(key);
    moment("freed", true);
}

static void a_whole_life(void **state)
{
    (void)state;
    run(whole_life);
}

static void refused_texts_leave_nothing(void **state)
{
    (void)state;
    run(refused_texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_search_finds_what_is_there, prepare, finish),
        cmocka_unit_test_setup_teardown(a_whole_life, prepare, finish),
        cmocka_unit_test_setup_teardown(refused_texts_leave_nothing, prepare, finish),
    };

#ifdef WATCHED
    (void)tests;
    print_message("skipped: a sanitizer's own memory would be searched\n");
    return 77;
#else
    return cmocka_run_group_tests(tests, NULL, NULL);
#endif
}
