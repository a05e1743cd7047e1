/* SPDX-License-Identifier: Apache-2.0 */
/* What ends a wait: a bell that other threads ring, and the signals that ask the program to leave.
 *
 * The main loop polls wake_fd() together with the keyboard. There is one bell per process, because signals
 * are. */
#ifndef CLI_WAKE_H
#define CLI_WAKE_H

#include <stdbool.h>

/* False when the system refuses (errno says why). */
bool wake_open(void);
/* From now on SIGINT, SIGTERM, SIGHUP and SIGQUIT ring the bell and set wake_stopping() instead of ending the
 * process. Before, an interrupt ends it at once: nothing is lost by that, every commit is already stored. */
void wake_catch_signals(void);
int wake_fd(void);
void wake_ring(void);  /* any thread */
void wake_quiet(void); /* takes the rings so far */
bool wake_stopping(void);

#endif
