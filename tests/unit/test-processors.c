/* SPDX-License-Identifier: Apache-2.0 */
#include "model/processors.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/tap.h"

/* Machines that are made of files. */

static char sys[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st;
        (void) type;
        (void) ftw;
        return remove(path);
}

static void begin(void) {
        (void) snprintf(sys, sizeof(sys), "processors-XXXXXX");
        if (!mkdtemp(sys))
                abort();
}

static void end(void) {
        (void) nftw(sys, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file of the machine, and the folders that lead to it. */
__attribute__((format(printf, 2, 3))) static void put(const char *text, const char *format, ...) {
        char path[256];
        size_t length = (size_t) snprintf(path, sizeof(path), "%s/", sys);
        va_list ap;
        FILE *f;

        va_start(ap, format);
        (void) vsnprintf(path + length, sizeof(path) - length, format, ap);
        va_end(ap);
        for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
                *slash = '\0';
                if (mkdir(path, 0700) < 0 && errno != EEXIST)
                        abort();
                *slash = '/';
        }
        f = fopen(path, "w");
        if (!f || fputs(text, f) < 0 || fclose(f) != 0)
                abort();
}

static void siblings(unsigned cpu, const char *list) {
        put(list, "devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
}

static cpu_set_t range(unsigned first, unsigned last) {
        cpu_set_t set;

        CPU_ZERO(&set);
        for (unsigned i = first; i <= last; i++)
                CPU_SET(i, &set);
        return set;
}

static void expect_fast(cpu_set_t allowed, unsigned n, cpu_set_t expected) {
        cpu_set_t fast;

        expect(processors_fast(&fast, &allowed, sys) == n);
        expect(CPU_EQUAL(&fast, &expected));
}

/* Nothing but the processors themselves is known. */
static void unknown(void) {
        begin();
        expect_fast(range(0, 3), 4, range(0, 3));
        expect_fast(range(2, 2), 1, range(2, 2));
        end();
}

static void hyper_threads(void) {
        begin();
        for (unsigned cpu = 0; cpu < 4; cpu++)
                siblings(cpu, cpu < 2 ? "0-1\n" : "2-3\n");
        siblings(4, "4,6\n");
        siblings(6, "4,6\n");
        siblings(5, "5,7\n");
        siblings(7, "5,7\n");
        expect_fast(range(0, 7), 4, range(0, 7));
        /* The first of a core may be forbidden. */
        expect_fast(range(1, 1), 1, range(1, 1));
        expect_fast(range(6, 7), 2, range(6, 7));
        end();
}

/* Two cores with hyper-threads and four without, as laptops have had them since 2021. */
static void kinds_of_cores(void) {
        begin();
        put("0-3\n", "devices/cpu_core/cpus");
        put("4-7\n", "devices/cpu_atom/cpus");
        siblings(0, "0-1\n");
        siblings(1, "0-1\n");
        siblings(2, "2-3\n");
        siblings(3, "2-3\n");
        for (unsigned cpu = 4; cpu < 8; cpu++)
                put("1024\n", "devices/system/cpu/cpu%u/cpu_capacity", cpu);
        expect_fast(range(0, 7), 2, range(0, 3));
        /* Somebody who may use the others only gets those. */
        expect_fast(range(4, 7), 4, range(4, 7));
        end();
}

static void capacities(void) {
        static const char *const of[] = { "250\n", "250\n", "871\n", "871\n", "1024\n" };

        begin();
        for (unsigned cpu = 0; cpu < 5; cpu++) {
                put(of[cpu], "devices/system/cpu/cpu%u/cpu_capacity", cpu);
                /* Which says more than this. */
                put("2000000\n", "devices/system/cpu/cpu%u/cpufreq/cpuinfo_max_freq", cpu);
        }
        expect_fast(range(0, 4), 3, range(2, 4));
        expect_fast(range(0, 1), 2, range(0, 1));
        end();
}

static void frequencies(void) {
        static const char *const of[] = { "5100000\n", "4900000\n", "3300000\n", "3300000\n" };

        begin();
        for (unsigned cpu = 0; cpu < 4; cpu++)
                put(of[cpu], "devices/system/cpu/cpu%u/cpufreq/cpuinfo_max_freq", cpu);
        expect_fast(range(0, 3), 2, range(0, 1));
        end();
}

/* What makes no sense is as good as nothing. */
static void nonsense(void) {
        begin();
        put("", "devices/cpu_core/cpus");
        put("many\n", "devices/system/cpu/cpu0/cpu_capacity");
        siblings(0, "x\n");
        siblings(1, "1-99999999\n");
        siblings(2, "3-1,2\n");
        expect_fast(range(0, 2), 3, range(0, 2));
        end();
}

int main(void) {
        rule("processors of which nothing is known are all the same", unknown);
        rule("two threads of a core count once", hyper_threads);
        rule("where cores are of two kinds, the fast kind counts", kinds_of_cores);
        rule("a core of far less capacity does not count", capacities);
        rule("nor does one of a far lower frequency", frequencies);
        rule("files that make no sense are passed over", nonsense);
        return tap_done();
}
