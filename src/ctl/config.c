/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl config: the settings in force. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "ctl/commands.h"
#include "ctl/output.h"

/* A line "name = value" of settings_print(), which leaves out what must not be shown. */
static int add_line(json_t *object, char *line)
{
    size_t count;
    json_t *value = NULL;
    const struct setting *table = settings_table(&count);
    char *equals = strstr(line, " = ");
    if (equals == NULL)
        return 0;
    *equals = '\0';
    const char *text = equals + 3;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, line) != 0)
            continue;
        if (table[i].type == SETTING_NUMBER)
            value = json_integer(strtoll(text, NULL, 10));
        else if (table[i].type == SETTING_SWITCH)
            value = json_boolean(strcmp(text, "on") == 0);
        else
            value = json_string(text);
    }
    return json_object_set_new(object, line, value);
}

static json_t *settings_object(char *text)
{
    json_t *object = json_object();
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL && object != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (add_line(object, line) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static int print_object(const struct ctl *ctl, const struct settings *settings)
{
    char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL)
        return ctl_fail_memory();
    settings_print(settings, memory);
    int code = fclose(memory) == 0 ? output_object(ctl, NULL, 0, settings_object(text))
                                   : ctl_fail_memory();
    free(text);
    return code;
}

static int run_config(struct ctl *ctl, const struct ctl_arguments *args)
{
    (void)args; /* takes none */
    struct settings settings;
    int code = ctl_settings(ctl, &settings);
    if (code != CTL_DONE)
        return code;
    if (ctl->json)
        return print_object(ctl, &settings);
    settings_print(&settings, stdout);
    return CTL_DONE;
}

const struct ctl_command config_command = {
    .name = "config",
    .words = "",
    .summary = "Print the settings in force, in the form of a settings file.",
    .run = run_config,
};
