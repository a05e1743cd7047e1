/* SPDX-License-Identifier: Apache-2.0 */
/* From an instance URL to what the storage opens. */
#include "instance/url.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

#define SHOWN 200 /* bytes of a URL repeated in a sentence */

/* The rest behind "scheme:", NULL when the URL has another scheme. */
static const char *after_scheme(const char *url, const char *scheme)
{
    size_t len = strlen(scheme);

    return strncasecmp(url, scheme, len) == 0 && url[len] == ':' ? url + len + 1 : NULL;
}

/* A scheme is letters, digits, "+", "-" and "." before the first colon; one letter is a Windows drive. */
static bool has_scheme(const char *url)
{
    size_t len = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

    return len > 1 && url[len] == ':';
}

static eid_status sqlite_path(const char *url, const char *rest, char **path)
{
    if (strncmp(rest, "//", 2) == 0)
        rest += 2;
    if (*rest == '\0')
        return eid_fail(EID_ERR_INVALID_URL, "\"%.*s\" names no file: write sqlite:notes.db", SHOWN, url);
    if (strpbrk(rest, "?#") != NULL)
        return eid_fail(EID_ERR_INVALID_URL,
                        "\"%.*s\" has options behind the file name, which are not understood: write only "
                        "sqlite:PATH",
                        SHOWN, url);
    *path = eid_strdup(rest);
    return *path != NULL ? EID_OK : eid_fail_memory();
}

static eid_status memory_path(const char *url, const char *rest, char **path)
{
    if (strncmp(rest, "//", 2) == 0)
        rest += 2;
    if (*rest == '/')
        return eid_fail(EID_ERR_UNSUPPORTED,
                        "\"%.*s\" asks for a snapshot file, which this version does not read: use "
                        "sqlite:PATH for data that stays",
                        SHOWN, url);
    if (*rest != '\0')
        return eid_fail(EID_ERR_INVALID_URL,
                        "\"%.*s\" has something behind memory:, which needs nothing there", SHOWN, url);
    *path = eid_strdup(":memory:");
    return *path != NULL ? EID_OK : eid_fail_memory();
}

eid_status eid_url_to_path(const char *url, char **path)
{
    static const char *const elsewhere[] = {"postgres", "postgresql", "unix"};
    const char *rest;

    if ((rest = after_scheme(url, "sqlite")) != NULL)
        return sqlite_path(url, rest, path);
    if ((rest = after_scheme(url, "memory")) != NULL)
        return memory_path(url, rest, path);
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        if (after_scheme(url, elsewhere[i]) != NULL)
            return eid_fail(
                EID_ERR_UNSUPPORTED,
                "%s: URLs are not supported by this version: use sqlite:PATH or memory:", elsewhere[i]);
    }
    if (!has_scheme(url))
        return eid_fail(EID_ERR_INVALID_URL,
                        "\"%.*s\" is no instance URL: write sqlite:%.*s for a data file, or memory:", SHOWN,
                        url, SHOWN, *url != '\0' ? url : "PATH");
    return eid_fail(EID_ERR_INVALID_URL,
                    "the scheme of \"%.*s\" is not known: use sqlite:PATH or memory:", SHOWN, url);
}
