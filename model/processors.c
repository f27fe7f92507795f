/* SPDX-License-Identifier: Apache-2.0 */
#include "model/processors.h"

#include <stdbool.h>
#include <stdio.h>

#define FAST_PERCENT 70

/* The number in a file of processor `cpu`, or 0. */
static unsigned long read_number(const char *sys, unsigned cpu, const char *name) {
        unsigned long value = 0;
        char path[256];
        FILE *f;
        int n = snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%u/%s", sys, cpu, name);

        if (n < 0 || (size_t) n >= sizeof(path))
                return 0;
        f = fopen(path, "re");
        if (!f)
                return 0;
        if (fscanf(f, "%lu", &value) != 1)
                value = 0;
        (void) fclose(f);
        return value;
}

/* Adds what a list like "0-3,8" names.  Returns whether there is such a file. */
static bool read_list(cpu_set_t *ret, const char *sys, const char *name) {
        unsigned first, last;
        char path[256];
        FILE *f;
        int n = snprintf(path, sizeof(path), "%s/%s", sys, name);

        if (n < 0 || (size_t) n >= sizeof(path))
                return false;
        f = fopen(path, "re");
        if (!f)
                return false;
        while (fscanf(f, "%u", &first) == 1) {
                int separator = fgetc(f);

                last = first;
                if (separator == '-') {
                        if (fscanf(f, "%u", &last) != 1)
                                break;
                        separator = fgetc(f);
                }
                for (unsigned cpu = first; cpu <= last && cpu < CPU_SETSIZE; cpu++)
                        CPU_SET(cpu, ret);
                if (separator != ',')
                        break;
        }
        (void) fclose(f);
        return true;
}

/* Those whose number in a file is near the largest.  Returns whether any has one. */
static bool
keep_largest(cpu_set_t *fast, const cpu_set_t *allowed, const char *sys, const char *name) {
        unsigned long values[CPU_SETSIZE] = { 0 }, largest = 0;

        for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
                if (!CPU_ISSET(cpu, allowed))
                        continue;
                values[cpu] = read_number(sys, cpu, name);
                largest = values[cpu] > largest ? values[cpu] : largest;
        }
        if (largest == 0)
                return false;

        for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
                if (CPU_ISSET(cpu, allowed) && values[cpu] >= largest / 100.0 * FAST_PERCENT)
                        CPU_SET(cpu, fast);
        return true;
}

/* The first processor of the core. */
static unsigned first_sibling(const char *sys, unsigned cpu) {
        cpu_set_t siblings;
        char name[96];

        CPU_ZERO(&siblings);
        (void) snprintf(name, sizeof(name),
                        "devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
        if (!read_list(&siblings, sys, name))
                return cpu;
        for (unsigned i = 0; i < cpu; i++)
                if (CPU_ISSET(i, &siblings))
                        return i;
        return cpu;
}

unsigned processors_fast(cpu_set_t *fast, const cpu_set_t *allowed, const char *sys) {
        unsigned n = 0;

        CPU_ZERO(fast);
        if (read_list(fast, sys, "devices/cpu_core/cpus"))
                CPU_AND(fast, fast, allowed);
        if (CPU_COUNT(fast) == 0 && !keep_largest(fast, allowed, sys, "cpu_capacity"))
                (void) keep_largest(fast, allowed, sys, "cpufreq/cpuinfo_max_freq");
        if (CPU_COUNT(fast) == 0)
                *fast = *allowed;

        for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
                unsigned first;

                if (!CPU_ISSET(cpu, fast))
                        continue;
                first = first_sibling(sys, cpu);
                if (first == cpu || !CPU_ISSET(first, fast))
                        n++;
        }
        return n;
}
