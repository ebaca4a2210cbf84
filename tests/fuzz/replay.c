/* SPDX-License-Identifier: Apache-2.0 */
/* main() of a target without libFuzzer: gives it every file of its folders, and each of them cut
 * short at several places. A target that finds something ends the process. */
#include <dirent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { PATH_SIZE = 1024, LINE_SIZE = 512, FILE_MAX = 1 << 20, CUTS = 16 };

/* On the heap and without a byte behind it, so that ASan sees a step too far. */
static void give(const unsigned char *bytes, size_t n)
{
    unsigned char *exact = malloc(n > 0 ? n : 1);
    MUST(exact != NULL);
    memcpy(exact, bytes, n);
    MUST(LLVMFuzzerTestOneInput(exact, n) == 0);
    free(exact);
}

static size_t replay_file(const char *path)
{
    static unsigned char bytes[FILE_MAX];
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    FILE *in = fopen(path, "re");
    MUST(in != NULL);
    const size_t n = fread(bytes, 1, sizeof bytes, in);
    MUST(ferror(in) == 0);
    (void)fclose(in);                      /* read only */
    (void)fprintf(stderr, "# %s\n", path); /* whose turn it was when it goes wrong */
    give(bytes, n);
    for (size_t i = 0; i < CUTS; i++)
        give(bytes, n * i / CUTS);
    return 1;
}

/* folder is below the top of the sources; one that is not there has no files. */
static size_t replay_folder(const char *folder)
{
    const char *top = getenv("srcdir"); /* set by make check */
    char path[PATH_SIZE];
    size_t count = 0;
    (void)snprintf(path, sizeof path, "%s/%s", top != NULL ? top : ".", folder);
    const size_t n = strlen(path);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        const int more = snprintf(path + n, sizeof path - n, "/%s", e->d_name);
        if (more > 0 && (size_t)more < sizeof path - n)
            count += replay_file(path);
    }
    (void)closedir(dir);
    return count;
}

/* The folders that the list of targets names for this one. */
static size_t replay_listed(void)
{
    static const char BLANKS[] = " \n";
    char line[LINE_SIZE];
    char *rest;
    size_t count = 0;
    const char *top = getenv("srcdir");
    (void)snprintf(line, sizeof line, "%s/tests/fuzz/targets", top != NULL ? top : ".");
    FILE *in = fopen(line, "re");
    MUST(in != NULL);
    while (fgets(line, sizeof line, in) != NULL) {
        const char *word = strtok_r(line, BLANKS, &rest);
        if (word == NULL || strcmp(word, FUZZ_TARGET) != 0)
            continue;
        /* Size and dictionary do not matter here. */
        (void)strtok_r(NULL, BLANKS, &rest);
        (void)strtok_r(NULL, BLANKS, &rest);
        while ((word = strtok_r(NULL, BLANKS, &rest)) != NULL) {
            const size_t found = replay_folder(word);
            MUST(found > 0);
            count += found;
        }
    }
    (void)fclose(in); /* read only */
    return count;
}

int main(void)
{
    const size_t seeds = replay_folder("tests/fuzz/seeds/" FUZZ_TARGET);
    const size_t finds = replay_folder("tests/fuzz/finds/" FUZZ_TARGET);
    const size_t listed = replay_listed();
    MUST(seeds + listed > 0);
    (void)printf("%zu seeds, %zu finds\n", seeds + listed, finds);
    return 0;
}
