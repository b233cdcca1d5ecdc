// Small cases with answers worked out by hand.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "slow.h"

static int failures, cases;

static void test(const char *name, int ok)
{
    cases++;
    failures += !ok;
    printf("%s %d - %s\n", ok ? "ok" : "not ok", cases, name);
}

static void test_join(void)
{
    char *words[] = {"one", "", "two"};
    char *text = slow_join(words, 3, ',');
    test("join", strcmp(text, "one,,two,") == 0);
    free(text);
    text = slow_join(words, 0, ',');
    test("join of nothing", text[0] == 0);
    free(text);
}

static void test_sort(void)
{
    static Record records[4] = {{"b", 2}, {"c", 1}, {"b", 1}, {"a", 9}};
    slow_sort(records, 4);
    test("sort by name", strcmp(records[0].name, "a") == 0 && strcmp(records[3].name, "c") == 0);
    test("sort by key", records[1].key == 1 && records[2].key == 2);
}

static void test_upper(void)
{
    char text[] = "az AZ 09 {`";
    slow_upper(text);
    test("upper", strcmp(text, "AZ AZ 09 {`") == 0);
}

static void test_distinct(void)
{
    char *words[] = {"ab", "ba", "ab", "", "abc", ""};
    test("distinct", slow_distinct(words, 6) == 4);
    test("distinct of nothing", slow_distinct(words, 0) == 0);
}

static void test_settings(void)
{
    char *names[] = {"two", "one", "none", "two"};
    test("settings", slow_settings("one=1\ntwo=2\nbad\ntwo=9\n", names, 4) == 5);
    test("settings without any", slow_settings("", names, 4) == 0);
}

static void test_find(void)
{
    const long table[] = {2, 4, 4, 4, 8};
    test("find the first", slow_find(table, 5, 4) == 1);
    test("find the ends", slow_find(table, 5, 2) == 0 && slow_find(table, 5, 8) == 4);
    test("find nothing", slow_find(table, 5, 5) == -1 && slow_find(table, 5, 9) == -1 &&
                             slow_find(table, 0, 2) == -1);
}

static void test_lines(void)
{
    int ends[2];
    long lines = 0, bytes = 0;
    int ok = pipe(ends) == 0 && write(ends[1], "a\nbc\nd", 6) == 6 && close(ends[1]) == 0 &&
             slow_lines(ends[0], &lines, &bytes) == 0;
    test("lines", ok && lines == 2 && bytes == 6);
    test("lines of no file", slow_lines(-1, &lines, &bytes) == -1);
}

static void test_checksum(void)
{
    // 'b' * 31 + 'a', backwards
    test("checksum", slow_checksum("ab", 2) == 98UL * 31 + 97);
    test("checksum of nothing", slow_checksum("", 0) == 0);
}

int main(void)
{
    test_join();
    test_sort();
    test_upper();
    test_distinct();
    test_settings();
    test_find();
    test_lines();
    test_checksum();
    printf("1..%d\n", cases);
    return failures != 0;
}
