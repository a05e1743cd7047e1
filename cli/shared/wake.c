/* SPDX-License-Identifier: Apache-2.0 */
/* The bell is a pipe: writing is allowed inside a signal handler, and poll can wait for it. See wake.h. */
#include "wake.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* Process-wide, because a signal handler gets no argument. */
static int bell[2] = {-1, -1};
static volatile sig_atomic_t stopping;

bool wake_open(void)
{
    return pipe2(bell, O_CLOEXEC | O_NONBLOCK) == 0;
}

static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    stopping = 1;
    wake_ring();
    errno = saved;
}

void wake_catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

int wake_fd(void)
{
    return bell[0];
}

void wake_ring(void)
{
    /* A full pipe is a bell that rings already. */
    ssize_t written = write(bell[1], "", 1);
    (void)written;
}

void wake_quiet(void)
{
    char taken[64];
    while (read(bell[0], taken, sizeof taken) > 0)
        continue;
}

bool wake_stopping(void)
{
    return stopping != 0;
}
