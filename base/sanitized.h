/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SANITIZED_H
#define BASE_SANITIZED_H

/* Whether this is built with a sanitizer that has memory of its own, looks into the process from outside and
 * runs a program to read its symbols: walls that stop that are left out then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
        __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

#endif
