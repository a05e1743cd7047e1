/* SPDX-License-Identifier: Apache-2.0 */
/* Visibility of public symbols: everything else of the library is hidden. */
#ifndef EIDETICA_EXPORT_H
#define EIDETICA_EXPORT_H

#if defined(__GNUC__)
#define EID_API __attribute__((visibility("default")))
#else
#define EID_API
#endif

#endif
