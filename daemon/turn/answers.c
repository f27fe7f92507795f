/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/answers.h"

#include <stdio.h>
#include <string.h>

#include "daemon/think/tools.h"

/* By the call, and by the value of its one argument (training/contexts/desktop.yaml). */
static const struct row {
        const char *name, *key, *value, *sentence;
} rows[] = {
        { "ask", "about", "timer", "For how long?" },
        { "ask", "about", "alarm", "For what time?" },
        { "ask", "about", "volume", "To how many percent?" },
        { "ask", "about", "brightness", "To how many percent?" },
        { "cannot", "what", "song", "I can not play a song, an artist or a playlist by name." },
        { "cannot", "what", "place", "I only know the time here." },
        { "cannot", "what", "date", "I only know the dates of yesterday, today and tomorrow." },
};

static const char *argument(const json_t *arguments, const char *key) {
        const char *value = json_string_value(json_object_get(arguments, key));

        return value ? value : "";
}

/* So many days later or earlier, at noon, where no change of the clock makes it another day. */
static bool shift_days(time_t now, int n_days, time_t *ret) {
        struct tm local;

        tzset();
        if (!localtime_r(&now, &local))
                return false;
        local.tm_mday += n_days;
        local.tm_hour = 12;
        local.tm_isdst = -1;
        *ret = mktime(&local);
        return *ret != (time_t) -1;
}

/* "It is ..." as it is said of another day. */
static bool say_date(int n_days, const char *said, time_t now, char *out, size_t out_size) {
        static const char prefix[] = "It is ";
        char sentence[128];
        time_t then;
        int n;

        if (!shift_days(now, n_days, &then) ||
            !tools_answer("get_date", TOOLS_SENTENCE, then, sentence, sizeof(sentence)) ||
            strncmp(sentence, prefix, sizeof(prefix) - 1) != 0)
                return false;
        n = snprintf(out, out_size, "%s %s", said, sentence + sizeof(prefix) - 1);
        return n > 0 && (size_t) n < out_size;
}

/* What it takes another program to know. */
static const char *row_instead(const char *name, const json_t *arguments) {
        if (strcmp(name, "get_time") == 0 && *argument(arguments, "place"))
                return "place";
        return strcmp(name, "get_date") == 0 && *argument(arguments, "day") ? "date" : NULL;
}

bool answers_say(const char *name, const json_t *arguments, time_t now, char *out, size_t out_size) {
        const char *day = argument(arguments, "day"), *instead;

        /* Whoever may know it there is not here. */
        if (strcmp(name, "get_date") == 0 && *argument(arguments, "place"))
                return false;
        if (strcmp(name, "get_date") == 0 && strcmp(day, "tomorrow") == 0)
                return say_date(1, "Tomorrow is", now, out, out_size);
        if (strcmp(name, "get_date") == 0 && strcmp(day, "yesterday") == 0)
                return say_date(-1, "Yesterday was", now, out, out_size);
        instead = row_instead(name, arguments);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                bool is_it = strcmp(name, rows[i].name) == 0 &&
                             strcmp(argument(arguments, rows[i].key), rows[i].value) == 0;
                int n;

                if (!is_it && (!instead || strcmp(rows[i].value, instead) != 0))
                        continue;
                n = snprintf(out, out_size, "%s", rows[i].sentence);
                return n > 0 && (size_t) n < out_size;
        }
        return tools_answer(name, TOOLS_SENTENCE, now, out, out_size);
}

/* What a call is about: the last word of its name. */
static const char *noun_of(const json_t *group) {
        const char *name = json_string_value(json_object_get(group, "name"));
        const char *noun = name ? strrchr(name, '_') : NULL;

        return noun ? noun + 1 : name ? name : "";
}

/* One call of each kind is enough of an example. */
static bool is_first_of_its_kind(const json_t *help, size_t index) {
        const char *noun = noun_of(json_array_get(help, index));

        for (size_t i = 0; i < index; i++)
                if (strcmp(noun_of(json_array_get(help, i)), noun) == 0)
                        return false;
        return true;
}

bool answers_help(const json_t *help, char *out, size_t out_size) {
        static const char opening[] = "You can say, for example: ";
        size_t used = 0;

        for (size_t i = 0; i < json_array_size(help); i++) {
                const json_t *sentences = json_object_get(json_array_get(help, i), "sentences");
                const char *sentence = json_string_value(json_array_get(sentences, 0));
                int n;

                if (!sentence || !strchr(sentence, ' ') || !is_first_of_its_kind(help, i))
                        continue;
                n = snprintf(out + used, out_size - used, "%s%s", used > 0 ? "; " : opening, sentence);
                /* Room for the end. */
                if (n < 0 || (size_t) n + 1 >= out_size - used)
                        break;
                used += (size_t) n;
        }
        if (used == 0)
                return false;
        (void) strcpy(out + used, ".");
        return true;
}
