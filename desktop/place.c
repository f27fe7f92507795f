/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/place.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define FOLDER     "/usr/share/zoneinfo"
#define NAME_SIZE  64
#define LINE_SIZE  512

/* What people ask for and the table does not name. */
static const char *const others[][2] = {
        { "beijing", "Asia/Shanghai" },          { "peking", "Asia/Shanghai" },
        { "shenzhen", "Asia/Shanghai" },         { "mumbai", "Asia/Kolkata" },
        { "delhi", "Asia/Kolkata" },             { "new delhi", "Asia/Kolkata" },
        { "bangalore", "Asia/Kolkata" },         { "osaka", "Asia/Tokyo" },
        { "kyoto", "Asia/Tokyo" },               { "hanoi", "Asia/Bangkok" },
        { "abu dhabi", "Asia/Dubai" },           { "tel aviv", "Asia/Jerusalem" },
        { "ankara", "Europe/Istanbul" },         { "munich", "Europe/Berlin" },
        { "hamburg", "Europe/Berlin" },          { "cologne", "Europe/Berlin" },
        { "frankfurt", "Europe/Berlin" },        { "milan", "Europe/Rome" },
        { "naples", "Europe/Rome" },             { "venice", "Europe/Rome" },
        { "barcelona", "Europe/Madrid" },        { "geneva", "Europe/Zurich" },
        { "saint petersburg", "Europe/Moscow" }, { "manchester", "Europe/London" },
        { "edinburgh", "Europe/London" },        { "england", "Europe/London" },
        { "scotland", "Europe/London" },         { "wales", "Europe/London" },
        { "uk", "Europe/London" },               { "united kingdom", "Europe/London" },
        { "holland", "Europe/Amsterdam" },       { "south korea", "Asia/Seoul" },
        { "washington", "America/New_York" },    { "boston", "America/New_York" },
        { "philadelphia", "America/New_York" },  { "miami", "America/New_York" },
        { "atlanta", "America/New_York" },       { "houston", "America/Chicago" },
        { "dallas", "America/Chicago" },         { "austin", "America/Chicago" },
        { "texas", "America/Chicago" },          { "san francisco", "America/Los_Angeles" },
        { "seattle", "America/Los_Angeles" },    { "las vegas", "America/Los_Angeles" },
        { "san diego", "America/Los_Angeles" },  { "california", "America/Los_Angeles" },
        { "hawaii", "Pacific/Honolulu" },        { "montreal", "America/Toronto" },
        { "rio de janeiro", "America/Sao_Paulo" }, { "rio", "America/Sao_Paulo" },
        { "cape town", "Africa/Johannesburg" },  { "canberra", "Australia/Sydney" },
        { "wellington", "Pacific/Auckland" },
};

static const char *folder(void) {
        const char *own = getenv("TZDIR");

        return own && *own ? own : FOLDER;
}

/* Letters and digits of the next character that counts; 0 at the end. */
static int next_letter(const char **at, const char *end) {
        while (*at < end) {
                unsigned char c = (unsigned char) *(*at)++;

                if (isalnum(c) || c >= 0x80)
                        return tolower(c);
        }
        return 0;
}

/* "New_York" is "new york". */
static bool is_same(const char *a, const char *a_end, const char *b) {
        const char *b_end = b + strlen(b);
        int x, y;

        do {
                x = next_letter(&a, a_end);
                y = next_letter(&b, b_end);
        } while (x == y && x != 0);
        return x == y;
}

/* Calls take for each line of a table, with its fields; until that returns true. */
static void for_each_line(const char *table,
                          bool (*take)(char *fields[3], void *userdata),
                          void *userdata) {
        char path[LINE_SIZE], line[LINE_SIZE];
        bool is_done = false;
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/%s", folder(), table);
        f = fopen(path, "re");
        while (f && !is_done && fgets(line, sizeof(line), f)) {
                char *save = NULL, *fields[3];

                if (line[0] == '#')
                        continue;
                fields[0] = strtok_r(line, "\t\n", &save);
                fields[1] = strtok_r(NULL, "\t\n", &save);
                fields[2] = strtok_r(NULL, "\t\n", &save);
                is_done = fields[0] && fields[1] && take(fields, userdata);
        }
        if (f)
                (void) fclose(f);
}

struct search {
        const char *name;
        char country[8]; /* its code; "": none of that name */
        char zone[NAME_SIZE];
        GTimeSpan offset;
        bool is_several;
};

static GDateTime *now_in(const char *zone) {
        GTimeZone *z = g_time_zone_new_identifier(zone);
        GDateTime *now = z ? g_date_time_new_now(z) : NULL;

        if (z)
                g_time_zone_unref(z);
        return now;
}

static bool take_city(char *fields[3], void *userdata) {
        struct search *s = userdata;
        const char *city = fields[2] ? strrchr(fields[2], '/') : NULL;

        if (!city || !is_same(city + 1, city + strlen(city), s->name))
                return false;
        (void) snprintf(s->zone, sizeof(s->zone), "%s", fields[2]);
        return true;
}

/* "Korea (South)" is also "Korea". */
static bool take_country(char *fields[3], void *userdata) {
        struct search *s = userdata;
        const char *more = strstr(fields[1], " (");

        if (!is_same(fields[1], fields[1] + strlen(fields[1]), s->name) &&
            !(more && is_same(fields[1], more, s->name)))
                return false;
        (void) snprintf(s->country, sizeof(s->country), "%s", fields[0]);
        return true;
}

/* All zones of the country are to have the same time. */
static bool take_zone(char *fields[3], void *userdata) {
        struct search *s = userdata;
        GDateTime *now;

        if (!fields[2] || strcmp(fields[0], s->country) != 0)
                return false;
        now = now_in(fields[2]);
        if (!now)
                return false;
        if (!s->zone[0]) {
                (void) snprintf(s->zone, sizeof(s->zone), "%s", fields[2]);
                s->offset = g_date_time_get_utc_offset(now);
        }
        s->is_several |= g_date_time_get_utc_offset(now) != s->offset;
        g_date_time_unref(now);
        return false;
}

static void look_for(struct search *s) {
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
                if (is_same(others[i][0], others[i][0] + strlen(others[i][0]), s->name))
                        (void) snprintf(s->zone, sizeof(s->zone), "%s", others[i][1]);
        if (!s->zone[0])
                for_each_line("zone.tab", take_city, s);
        if (!s->zone[0])
                for_each_line("iso3166.tab", take_country, s);
        if (s->country[0])
                for_each_line("zone.tab", take_zone, s);
}

GDateTime *place_now(const char *name, int *ret_error) {
        char *plain = g_str_to_ascii(name, "C"); /* the table has no accents: "Zürich" is "Zurich" there */
        struct search s = { .name = plain };
        GDateTime *now;

        look_for(&s);
        g_free(plain);
        *ret_error = s.is_several ? -ENOTUNIQ : -ENOENT;
        now = s.zone[0] && !s.is_several ? now_in(s.zone) : NULL;
        if (now)
                *ret_error = 0;
        return now;
}

void place_capitals(const char *name, char *out, size_t size) {
        bool is_first = true;
        size_t n = 0;

        for (; *name && n + 1 < size; name++) {
                out[n++] = (char) (is_first ? toupper((unsigned char) *name) : *name);
                is_first = *name == ' ' || *name == '-';
        }
        out[n] = '\0';
}
